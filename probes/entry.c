/* Calls of the model, and batches of a loader, in a step of the lane. */

#include "lane.h"

/* Does a call of a module train it, with nothing about it that Layers would have to note? */
static int trains(PyObject *module)
{
    PyObject *training = PyObject_GetAttr(module, names.training);
    Py_XDECREF(training);
    PyObject *grad = training == Py_True ? PyObject_CallFunctionObjArgs(torch_.is_grad_enabled, NULL) : NULL;
    Py_XDECREF(grad);
    PyObject *cast = grad == Py_True ? PyObject_CallFunctionObjArgs(torch_.is_autocast_enabled, names.cpu, NULL) : NULL;
    Py_XDECREF(cast);
    PyErr_Clear();
    return cast == Py_False;
}

/* Of two calls the later one, unless it is of a part of the model, called by the model (Layers._outer). */
int enters(Lane *self, PyObject *module, PyObject *args, PyObject *kwargs, int outermost)
{
    if (self->pass.inside)
        return 1;
    int ours = self->stage == LOSS && self->looks && (!self->routine || can_pass(&self->pass)) && trains(module);
    self->noted |= ours ? 1 : 2;
    if (!ours)
        return 0;
    if (!self->entered[0] || !self->outermost || outermost) {
        put(&self->entered[0], module);
        put(&self->entered[1], args);
        put(&self->entered[2], kwargs);
        self->outermost = outermost;
    }
    return self->routine ? begin_pass(&self->pass, module) : 1;
}

/* A pass is over, also where it raised an exception. */
int exits(Lane *self, PyObject *module)
{
    if (self->pass.inside == module)
        end_pass(&self->pass);
    else if (!self->pass.inside)
        return 0;
    return 1;
}

/* What the model was called with first, a borrowed reference; NULL where that is not known here. */
PyObject *first_argument(const Lane *self)
{
    PyObject *args = self->noted == 1 ? self->entered[1] : NULL;
    return args && PyTuple_Check(args) && PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
}

/* Does a batch come from the iterator that the last one came from, which has been trained on? */
int follows(const Lane *self, PyObject *iterator)
{
    return self->iterator && self->iterator != Py_None && PyWeakref_GetObject(self->iterator) == iterator && !self->fresh;
}

/* A batch is there, for which the script has waited so many seconds. */
void reads(Lane *self, PyObject *batch, double waited)
{
    put(&self->batch, batch);
    self->fresh = 1;
    self->wait += waited;
}
