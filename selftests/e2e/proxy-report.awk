# SPDX-License-Identifier: MIT
#
# awk -v peers=LIST -v json=FILE -f proxy-report.awk ABOUT FACTS: medians and
# spread of what proxy-bench.sh found, as a table on standard output and as
# JSON. ABOUT has lines "NAME TEXT", FACTS "ROUND PEER FACT VALUE". The ratio
# is to nginx, the mark "best" is for the best of those that are not ours. In
# plain awk, for busybox too.

function sort(list, n,   i, j, t)
{
	for (i = 2; i <= n; i++) {
		t = list[i]
		for (j = i - 1; j >= 1 && list[j] > t; j--)
			list[j + 1] = list[j]
		list[j + 1] = t
	}
}

# sets median, low, high; false when there is nothing
function summarize(peer, fact,   n, i, list)
{
	n = count[peer, fact]
	if (!n)
		return 0
	for (i = 1; i <= n; i++)
		list[i] = value[peer, fact, i] + 0
	sort(list, n)
	low = list[1]
	high = list[n]
	median = n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	return 1
}

function is_ours(peer)
{
	return peer ~ /^ours/
}

# the best median among the peers
function best_of(fact, more_is_better,   i, best, have)
{
	for (i = 1; i <= nr_peers; i++) {
		if (is_ours(peer_name[i]) || !summarize(peer_name[i], fact))
			continue
		if (!have || (more_is_better ? median > best : median < best))
			best = median
		have = 1
	}
	return have ? best : 0
}

function text(v)
{
	if (v >= 1000)
		return sprintf("%.0f", v)
	return sprintf(v >= 100 ? "%.1f" : v >= 10 ? "%.2f" : "%.3f", v)
}

function quote(s)
{
	gsub(/[\\"]/, "\\\\&", s)
	gsub(/[\001-\037]/, " ", s)
	return "\"" s "\""
}

function row(fact, title, unit, more_is_better, scale,   i, best, base, cell)
{
	best = best_of(fact, more_is_better)
	base = summarize("nginx", fact) ? median : 0
	printf "%-34s", title " [" unit "]"
	for (i = 1; i <= nr_peers; i++) {
		if (!summarize(peer_name[i], fact)) {
			printf " %22s", "-"
			continue
		}
		cell = text(median * scale)
		if (base)
			cell = cell sprintf(" %.2fx", median / base)
		if (is_ours(peer_name[i]) && best)
			cell = cell sprintf(" (%.2fx)", median / best)
		if (!is_ours(peer_name[i]) && median == best)
			cell = cell " best"
		printf " %22s", cell
	}
	print ""
	printf "%-34s", "  spread"
	for (i = 1; i <= nr_peers; i++) {
		if (!summarize(peer_name[i], fact))
			printf " %22s", "-"
		else
			printf " %22s", text(low * scale) ".." \
				text(high * scale)
	}
	print ""
}

function json_out(   p, f, i, sep)
{
	printf "{\n" >json
	for (i = 1; i <= nr_about; i++)
		printf "  %s: %s,\n", quote(about_name[i]),
			quote(about[i]) >json
	printf "  \"results\": {\n" >json
	for (p = 1; p <= nr_peers; p++) {
		printf "    %s: {\n", quote(peer_name[p]) >json
		sep = ""
		for (f = 1; f <= nr_facts; f++) {
			if (!summarize(peer_name[p], fact_name[f]))
				continue
			printf "%s      %s: { \"median\": %.6g, " \
				"\"low\": %.6g, \"high\": %.6g, " \
				"\"rounds\": [", sep, quote(fact_name[f]),
				median, low, high >json
			for (i = 1; i <= count[peer_name[p], fact_name[f]]; i++)
				printf "%s%.6g", (i > 1 ? ", " : ""),
					value[peer_name[p], fact_name[f], i] \
					>json
			printf "] }" >json
			sep = ",\n"
		}
		printf "\n    }%s\n", (p < nr_peers ? "," : "") >json
	}
	printf "  }\n}\n" >json
}

FNR == NR {
	about_name[++nr_about] = $1
	sub(/^[^ ]* /, "")
	about[nr_about] = $0
	next
}

{
	value[$2, $3, ++count[$2, $3]] = $4
	if (!(($3) in known)) {
		known[$3] = 1
		fact_name[++nr_facts] = $3
	}
}

END {
	nr_peers = split(peers, peer_name, " ")
	for (i = 1; i <= nr_about; i++)
		print about_name[i] ": " about[i]
	print ""
	printf "%-34s", "median, to nginx (to best peer)"
	for (i = 1; i <= nr_peers; i++)
		printf " %22s", peer_name[i]
	print ""
	if ("per_s_13" in known) {
		row("per_s_13", "TLS 1.3 connections", "1/s", 1, 1)
		row("cpu_us_13", "TLS 1.3 CPU", "us/conn", 0, 1)
		if ("all_us_13" in known)
			row("all_us_13", "TLS 1.3 CPU of all", "us/conn", 0, 1)
		row("resumed_13", "TLS 1.3 resumed", "%", 1, 1)
	}
	if ("per_s_12" in known) {
		row("per_s_12", "TLS 1.2 connections", "1/s", 1, 1)
		row("cpu_us_12", "TLS 1.2 CPU", "us/conn", 0, 1)
		if ("all_us_12" in known)
			row("all_us_12", "TLS 1.2 CPU of all", "us/conn", 0, 1)
		row("resumed_12", "TLS 1.2 resumed", "%", 1, 1)
	}
	if ("p99_us" in known) {
		row("p50_us", "paced, median", "us", 0, 1)
		row("p99_us", "paced, p99", "us", 0, 1)
	}
	if ("down_s_gb" in known) {
		row("down_s_gb", "download CPU", "s/GB", 0, 1)
		row("up_s_gb", "upload CPU", "s/GB", 0, 1)
		if ("all_down_s_gb" in known) {
			row("all_down_s_gb", "download CPU of all", "s/GB",
			    0, 1)
			row("all_up_s_gb", "upload CPU of all", "s/GB", 0, 1)
		}
		row("down_mb_s", "download", "MB/s", 1, 1e-6)
		row("up_mb_s", "upload", "MB/s", 1, 1e-6)
	}
	if ("idle_mb" in known) {
		row("idle_mb", "idle connections, PSS", "MiB", 0, 1)
		row("idle_kb_each", "more for each of them", "KiB", 0, 1)
	}
	json_out()
}
