/* SPDX-License-Identifier: MIT */
/*
 * The byte stream both ends of a test agree on: byte number n of either
 * direction is peer_pattern(n). It does not repeat within any size a record
 * or a buffer has, so that a byte lost, doubled or moved is seen.
 */
#ifndef SELFTESTS_PATTERN_H
#define SELFTESTS_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/**
 * peer_pattern() - one byte of the stream
 * @offset: its position, from 0
 */
uint8_t peer_pattern(uint64_t offset);

/**
 * peer_pattern_fill() - write part of the stream
 * @buf: receives the bytes
 * @offset: position of the first
 * @len: how many
 */
void peer_pattern_fill(void *buf, uint64_t offset, size_t len);

/**
 * peer_pattern_check() - compare bytes with the stream
 * @buf: the bytes
 * @offset: position the first should have
 * @len: how many
 *
 * Return: @len when all are right, else the index in @buf of the first that
 * is wrong.
 */
size_t peer_pattern_check(const void *buf, uint64_t offset, size_t len);

#endif /* SELFTESTS_PATTERN_H */
