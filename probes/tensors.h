/* Tensors by their own memory: contiguous, on the CPU. */
#pragma once
#include "kernel.h"
#include "statistics.h"

/* An attribute of torch.Tensor. What makes most of its cost is to look it up in the classes: that is done once. */
typedef struct {
    PyObject *descriptor;
    descrgetfunc get;
} Attribute;

/* torch.Tensor, its attributes and methods (unbound). */
typedef struct {
    PyObject *tensor, *parameter, *float32, *int64;
    Attribute dtype, shape, is_cpu, requires_grad, grad, grad_fn, version;
    PyObject *is_contiguous, *data_ptr, *numel, *item, *is_grad_enabled, *is_autocast_enabled;
    lenfunc rows; /* of its first axis, 0 where it has none */
} Torch;

extern Torch torch_;

int take_torch(PyObject *torch);

/* Of a tensor of one of the two types themselves: a new reference, or NULL with an error set. */
static inline PyObject *get(const Attribute *attribute, PyObject *tensor)
{
    return attribute->get(attribute->descriptor, tensor, (PyObject *)Py_TYPE(tensor));
}

/* Is it True? */
int is_true(const Attribute *attribute, PyObject *tensor);

#define AXES 16

typedef struct {
    const float *at;
    Py_ssize_t size;
} Floats;

/* Each gives 1, 0 where the tensor is none for us, and -1 with an error set. */
int plain(PyObject *tensor, PyObject *dtype, void **at, Py_ssize_t *size);
int floats(PyObject *tensor, Floats *part);
int number_of(PyObject *tensor, double *number);
Py_ssize_t rows(PyObject *tensor);
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
