/* SPDX-License-Identifier: MIT */
/*
 * What ktc-bench relay found, as text or as JSON.
 */
#ifndef BENCH_RELAY_REPORT_H
#define BENCH_RELAY_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "relay.h"

/**
 * struct relay_brief - one row's runs in short; times are CPU nanoseconds
 * @message: of the relay, for one message
 * @byte: the same for one byte
 * @own: of @message, what the relay's own tasks used
 * @kernel: of @message, what kernel threads did
 * @all: of all tasks, the ends included, for one message
 * @turns: of the relay, for one message: how often it was given the CPU
 * @spread: largest by smallest run, less 1
 */
struct relay_brief {
	double message;
	double byte;
	double own;
	double kernel;
	double all;
	double turns;
	double spread;
};

/**
 * relay_brief_of() - the middle of a row's runs
 * @brief: written if there is anything to say
 * @result: where the row is from
 * @row: the row
 *
 * Return: false when the row was not measured, or failed.
 */
bool relay_brief_of(struct relay_brief *brief,
		    const struct relay_result *result,
		    const struct relay_row *row);

/**
 * relay_ratio() - a row's cost by that of the loop with OpenSSL
 * @result: where the row is from
 * @row: the row
 *
 * Return: NAN when one of the two was not measured.
 */
double relay_ratio(const struct relay_result *result,
		   const struct relay_row *row);

/* Print it. How many rows failed, or -EIO when it could not be written. */
int relay_report(const struct relay_result *result, FILE *out);

#endif /* BENCH_RELAY_REPORT_H */
