/* How a step leaves the lane, or becomes a routine sample in it. */

#include "lane.h"

void forget_step(Lane *self)
{
    self->passes = self->done = self->summed = self->taken = 0;
    self->loss = self->root = 0;
    forget_calls(self, 0);
    put(&self->top, NULL);
    for (int i = 0; i < 3; i++)
        put(&self->entered[i], NULL);
}

PyObject *keywords(PyObject *given)
{
    Py_XINCREF(given);
    return given ? given : PyDict_New();
}

/* stages.Left; NULL with an error set */
static PyObject *left_with(const Lane *self, int stage)
{
    PyObject *pending = PyTuple_New(self->called), *taken = PyTuple_New(self->taken), *trained = NULL, *found = NULL;
    PyObject *node = self->top ? node_of(self->top) : none();
    int fine = pending && taken && node;
    for (int i = 0; fine && i < self->called; i++) {
        PyObject *said = told(&self->calls[i]);
        fine = said && !PyTuple_SetItem(pending, i, said);
    }
    for (int i = 0; fine && i < self->taken; i++) {
        PyObject *one = Py_BuildValue("id", self->sites[i], self->numbers[i]);
        fine = one && !PyTuple_SetItem(taken, i, one);
    }
    if (fine && (trained = !self->called && self->calls[0].value ? told(&self->calls[0]) : none()))
        found = PyObject_CallFunction(names.Left, "iOOOiddOOi", stage, pending, trained, node, self->passes, self->loss,
                                      self->root, self->summed ? Py_True : Py_False, taken, self->done);
    Py_XDECREF(pending);
    Py_XDECREF(taken);
    Py_XDECREF(trained);
    Py_XDECREF(node);
    return found;
}

int tell_entered(Lane *self)
{
    PyObject **entered = self->entered, *done;
    if (!entered[0])
        return 1;
    done = PyObject_CallMethodObjArgs(self->looks, names.entered, entered[0], entered[1], entered[2], NULL);
    Py_XDECREF(done);
    put(&entered[0], NULL);
    self->noted = 3;
    return done != NULL;
}

PyObject *leave(Lane *self, PyObject *unused)
{
    int stage = self->stage;
    PyObject *left = NULL, *done = NULL;
    self->stage = CLOSED;
    put(&self->coming, NULL);
    if (!tell_entered(self))
        return NULL;
    if (stage == CLOSED)
        Py_RETURN_NONE;
    put(&self->routine, NULL);
    forget_work(&self->work);
    left = left_with(self, stage);
    forget_step(self);
    if (left)
        done = PyObject_CallFunctionObjArgs(self->left, left, NULL);
    Py_XDECREF(left);
    return done;
}

PyObject *arm(Lane *self, PyObject *unused)
{
    if (!self->coming)
        Py_RETURN_NONE;
    put(&self->routine, self->coming);
    put(&self->coming, NULL);
    PyObject *armed = PyObject_CallMethodObjArgs(self->routine, names.arm, NULL), *looks, *work, *pass;
    int ready = armed && armed != Py_None;
    if (ready && PyArg_ParseTuple(armed, "OIOO", &looks, &self->samples, &work, &pass) &&
        take_work(&self->work, work) && take_pass(&self->pass, pass))
        put(&self->looks, looks);
    Py_XDECREF(armed);
    if (PyErr_Occurred())
        return NULL;
    return ready && self->stage != CLOSED ? none() : leave(self, NULL);
}
