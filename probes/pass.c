/* As Layers._begin and Layers._end, without a line of Python. */

#include "pass.h"

#define REFERENCES(each)                                                                                             \
    each(layers) each(fused) each(functions) each(warnings) each(plain) each(ours) each(key)

void forget_pass(Pass *pass)
{
#define FORGET(field) put(&pass->field, NULL);
    REFERENCES(FORGET)
}

/* None or (layers, fused, functions, warnings.__dict__, warnings.warn, ours, key) */
int take_pass(Pass *pass, PyObject *from)
{
    PyObject *layers, *fused, *functions, *warnings, *plain, *ours, *key;
    forget_pass(pass);
    if (from == Py_None)
        return 1;
    if (!PyArg_ParseTuple(from, "O!O!OO!OOO", &PyTuple_Type, &layers, &PyTuple_Type, &fused, &functions, &PyDict_Type,
                          &warnings, &plain, &ours, &key))
        return 0;
#define TAKE(field) put(&pass->field, field);
    REFERENCES(TAKE)
    return 1;
}

/* Exchanges warnings.warn, where it is what it is expected to be. */
static int exchange(const Pass *pass, PyObject *there, PyObject *instead)
{
    PyObject *name = names.warn;
    return PyDict_GetItem(pass->warnings, name) == there && !PyDict_SetItem(pass->warnings, name, instead);
}

/* The hook of a layer that is still alive, on it. */
static int hang(Pass *pass, PyObject *plan)
{
    PyObject *layer, *hook, *calls, *hooks;
    if (!PyArg_ParseTuple(plan, "OOO!", &layer, &hook, &PyByteArray_Type, &calls))
        return -1;
    if ((layer = PyWeakref_GetObject(layer)) == Py_None)
        return 1;
    *PyByteArray_AsString(calls) = 0;
    if (!(hooks = PyObject_GetAttr(layer, names.forward_hooks)))
        return -1;
    int done = PyObject_SetItem(hooks, pass->key, hook) || PyList_Append(pass->hooked, hooks) ? -1 : 1;
    Py_DECREF(hooks);
    return done;
}

/* None of the fused modules is being evaluated: a hook in one that is would change its bits (fused.py). */
int can_pass(const Pass *pass)
{
    int trained = pass->layers != NULL;
    for (Py_ssize_t i = 0; trained && i < PyTuple_Size(pass->fused); i++) {
        PyObject *module = PyWeakref_GetObject(PyTuple_GetItem(pass->fused, i)), *flag;
        if (module == Py_None)
            continue;
        flag = PyObject_GetAttr(module, names.training);
        trained = flag == Py_True;
        Py_XDECREF(flag);
    }
    PyErr_Clear();
    return trained;
}

int begin_pass(Pass *pass, PyObject *module)
{
    PyObject *done = NULL;
    if (!pass->hooked && !(pass->hooked = PyList_New(0)))
        return -1;
    put(&pass->inside, module);
    pass->exchanged = exchange(pass, pass->plain, pass->ours);
    int fine = pass->functions == Py_None || (done = PyObject_CallMethodObjArgs(pass->functions, names.begin, NULL));
    Py_XDECREF(done);
    for (Py_ssize_t i = 0; fine && i < PyTuple_Size(pass->layers); i++)
        fine = hang(pass, PyTuple_GetItem(pass->layers, i)) > 0;
    return fine ? 1 : -1;
}

/* Leaves an error alone that was set before. */
void end_pass(Pass *pass)
{
    PyObject *type, *error, *trace, *done;
    if (!pass->inside)
        return;
    PyErr_Fetch(&type, &error, &trace);
    put(&pass->inside, NULL);
    if (pass->exchanged)
        exchange(pass, pass->ours, pass->plain);
    pass->exchanged = 0;
    for (Py_ssize_t i = 0; i < PyList_Size(pass->hooked); i++)
        if (PyObject_DelItem(PyList_GetItem(pass->hooked, i), pass->key))
            PyErr_Clear(); /* the user has emptied it */
    PyList_SetSlice(pass->hooked, 0, PyList_Size(pass->hooked), NULL);
    if (pass->functions && pass->functions != Py_None) {
        done = PyObject_CallMethodObjArgs(pass->functions, names.end, NULL);
        Py_XDECREF(done);
    }
    PyErr_Clear();
    PyErr_Restore(type, error, trace);
}
