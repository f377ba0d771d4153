/* What a routine sample does in its step, once it is armed. */
#pragma once
#include "readings.h"

#include "pen.h"

/* Of Routine.arm. */
typedef struct {
    PyObject *record, *gradients, *snapshot, *compare, *parameters, *moments, *classes, *name;
    Py_ssize_t whole, momenta, width, elements, rows;
    int looks;
} Work;

int take_work(Work *work, PyObject *from);
void forget_work(Work *work);

/* 1: it is done; 0: it has to be done by the method of this name. No error is left. */
int begins(const Work *work, PyObject *first, PyObject *name, PyObject *args, PyObject *kwargs);
int before(const Work *work);
int after(const Work *work);
int written(const Work *work, PyObject *optimizer, Py_ssize_t groups, const void *head, const Pen *pen, uint32_t schema);

int published(const Pen *pen, uint32_t schema, PyObject *record);
