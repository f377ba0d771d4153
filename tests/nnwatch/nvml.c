/* A stand-in for NVIDIA's management library: two GPUs, the second of which does not tell its power.
 * Only the calls that the monitor makes; signatures from the NVML reference. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };

typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } process;

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
int nvmlDeviceGetClockInfo(int *handle, int clock, unsigned *megahertz) {
    *megahertz = clock == 1 ? 1980 - 100 * *handle : 0;
    return SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(int *handle, unsigned long long *reasons) {
    *reasons = *handle ? 1 : 0x40 | 1; /* the first is slowed by heat, the second is idle */
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(int *handle, unsigned *count, process *out) {
    if (*handle) { *count = 0; return SUCCESS; }
    if (*count < 2) { *count = 2; return INSUFFICIENT_SIZE; }
    out[0] = (process){(unsigned)getpid(), 7ULL << 30, 0, 0};
    out[1] = (process){1, 9ULL << 30, 0, 0};
    *count = 2;
    return SUCCESS;
}
