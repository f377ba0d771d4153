/* A stand-in for NVIDIA's management library: two GPUs, the second of which does not tell its power.
 * Only the calls that the monitor makes; signatures from the NVML reference. */
#include <stdio.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3 };

typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;

static int devices[2] = {0, 1};

int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == NOT_SUPPORTED ? "Not Supported" : "stand-in"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, int **handle) { *handle = &devices[index]; return SUCCESS; }
int nvmlDeviceGetName(int *handle, char *name, unsigned length) {
    snprintf(name, length, "Stand-in %c100", "HA"[*handle]);
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(int *handle, utilization *out) {
    out->gpu = 93 - *handle;
    out->memory = 40;
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(int *handle, memory *out) {
    out->total = 80ULL << 30;
    out->used = (unsigned long long)(30 + *handle) << 30;
    out->free = out->total - out->used;
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(int *handle, unsigned *milliwatts) {
    *milliwatts = 345678;
    return *handle ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetTemperature(int *handle, int sensor, unsigned *celsius) {
    *celsius = sensor == 0 ? 61 + *handle : 0;
    return SUCCESS;
}
