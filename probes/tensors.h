/* Tensors by their own memory: contiguous, on the CPU. */
#pragma once
#include "kernel.h"
#include "statistics.h"

/* torch.Tensor and its attributes, looked up once. */
typedef struct {
    PyObject *tensor, *parameter, *float32, *int64;
    PyObject *dtype, *shape, *is_cpu, *is_contiguous, *data_ptr, *numel, *grad;
} Torch;

extern Torch torch_;

#define AXES 16

typedef struct {
    const float *at;
    Py_ssize_t size;
} Floats;

/* Each gives 1, 0 where the tensor is none for us, and -1 with an error set. */
int plain(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size);
int floats(PyObject *tensor, Floats *part);
int still(PyObject *tensor, const float *at, Py_ssize_t size);
int batch(PyObject *logits, PyObject *labels, Batch *found);
int sampled(PyObject *tensor, Py_ssize_t most, Floats *part, float **kept);

Py_ssize_t shape(PyObject *tensor, Py_ssize_t axes[AXES]);
Py_ssize_t distance(PyObject *tensor, Py_ssize_t size, Py_ssize_t most);

typedef struct {
    double mean, std, dead, saturated;
} Activation;

int activation(PyObject *tensor, const Py_ssize_t *axes, Py_ssize_t dims, Py_ssize_t most, double low, double high,
               PyObject *seen, int channels, int64_t now, int64_t window, Activation *found);
