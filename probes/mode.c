/* Functions.__torch_function__ (functions.py), without a frame: a warning that torch gives in C++ is ascribed to the
   innermost line of Python, which is to be the user's. */

#include "readings.h"

/* seen(mode, func, types, args, kwargs) */
PyObject *seen(PyObject *module, PyObject *given)
{
    PyObject *mode, *func, *types, *args, *kwargs = Py_None;
    if (!PyArg_ParseTuple(given, "OOOO!|O", &mode, &func, &types, &PyTuple_Type, &args, &kwargs))
        return NULL;
    PyObject *named = kwargs == Py_None ? PyDict_New() : kwargs, *output = NULL, *watchers = NULL, *done = NULL;
    if (named == kwargs)
        Py_INCREF(named);
    if (named && (output = PyObject_Call(func, args, named)) &&
        (watchers = PyObject_GetAttrString(mode, "watchers"))) {
        int watched = PySequence_Contains(watchers, func);
        if (watched > 0)
            done = PyObject_CallMethod(mode, "see", "OOOO", func, args, named, output);
        else if (!watched)
            done = none();
    }
    Py_XDECREF(watchers);
    Py_XDECREF(named);
    if (!done)
        Py_CLEAR(output);
    Py_XDECREF(done);
    return output;
}
