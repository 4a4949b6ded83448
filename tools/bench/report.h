/* SPDX-License-Identifier: MIT */
/*
 * What a run found, as text or as JSON, with the machine and versions beside
 * the numbers.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "run.h"

/**
 * report() - print it
 * @run: a run that run_all() returned 0 for, before run_fini()
 * @out: where to
 *
 * Return: how many connections failed, or a negative errno when it could not
 * be written.
 */
int64_t report(const struct run *run, FILE *out);

#endif /* BENCH_REPORT_H */
