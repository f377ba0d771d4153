/* Loss calls of a step in the lane. */

#include "lane.h"

#include <math.h>

#define DEEP 12 /* as in terms.py */

void forget_call(Said *said)
{
    put(&said->name, NULL);
    put(&said->function, NULL);
    put(&said->args, NULL);
    put(&said->kwargs, NULL);
    put(&said->value, NULL);
}

void forget_calls(Lane *self, int from)
{
    for (int i = from; i < CALLS && self->calls[i].value; i++)
        forget_call(&self->calls[i]);
    self->called = 0;
}

PyObject *told(const Said *said)
{
    PyObject *node = node_of(said->value), *kwargs = keywords(said->kwargs), *found = NULL;
    if (node && kwargs)
        found = PyObject_CallFunction(names.Said, "(OOOO)dOi", said->name, said->function, said->args, kwargs,
                                      said->number, node, said->site);
    Py_XDECREF(node);
    Py_XDECREF(kwargs);
    return found;
}

/* Does it say nothing of how the losses of its elements are reduced? Then it takes their mean. */
int takes_mean(const Said *said)
{
    int plain = PyTuple_Size(said->args) <= 2;
    for (int i = 0; plain && said->kwargs && i < 3; i++)
        plain = !PyDict_GetItem(said->kwargs, names.reductions[i]);
    return plain;
}

/* The stack from the innermost frame of Python outwards, as far as it was asked for. */
typedef struct {
    PyObject *frame[DEEP], *code[DEEP];
    int depth;
} Stack;

/* The code of a frame, a borrowed reference; NULL where there is none. */
static PyObject *code_at(Stack *stack, int depth)
{
    while (stack->depth <= depth && depth < DEEP) {
        PyObject *frame = NULL;
        if (stack->depth)
            frame = PyObject_GetAttr(stack->frame[stack->depth - 1], names.f_back);
        else if ((frame = (PyObject *)PyEval_GetFrame()))
            Py_INCREF(frame);
        if (!frame || frame == Py_None) {
            Py_XDECREF(frame);
            return NULL;
        }
        stack->frame[stack->depth] = frame;
        stack->code[stack->depth++] = (PyObject *)PyFrame_GetCode((PyFrameObject *)frame);
    }
    return depth < DEEP ? stack->code[depth] : NULL;
}

static int is_here(Stack *stack, PyObject *codes, PyObject *instruction)
{
    Py_ssize_t count = PyTuple_Size(codes);
    for (Py_ssize_t i = 0; i < count; i++)
        if (code_at(stack, (int)i) != PyTuple_GetItem(codes, i))
            return 0;
    PyObject *running = PyObject_GetAttr(stack->frame[count - 1], names.f_lasti);
    int here = running && PyLong_AsLong(running) == PyLong_AsLong(instruction);
    Py_XDECREF(running);
    return here;
}

int site_of(const Lane *self, PyObject *name)
{
    Stack stack = {.depth = 0};
    Py_ssize_t count = PyTuple_Size(self->places);
    int found = -1;
    for (Py_ssize_t i = 0; found < 0 && i < count; i++) {
        PyObject *place = PyTuple_GetItem(self->places, i);
        if (!PyUnicode_Compare(PyTuple_GetItem(place, 0), name) &&
            is_here(&stack, PyTuple_GetItem(place, 1), PyTuple_GetItem(place, 2)))
            found = (int)PyLong_AsLong(PyTuple_GetItem(place, 3));
    }
    for (int i = 0; i < stack.depth; i++) {
        Py_DECREF(stack.frame[i]);
        Py_XDECREF(stack.code[i]);
    }
    PyErr_Clear();
    return found;
}
