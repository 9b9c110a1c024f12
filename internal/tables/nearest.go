package tables

import "iter"

// nearest returns the candidate with the smallest edit distance to s, the first
// of them if several are equally near, and "" if none is near enough to be what
// the writer meant: a third of the length, at least 2.
func nearest(s string, candidates iter.Seq[string]) string {
	if s == "" || len(s) > maxName {
		return ""
	}
	best, limit := "", max(2, len(s)/3)+1
	for c := range candidates {
		if d := distance(s, c, limit); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete, replace, or swap with their
// neighbor that turns a into b, or limit if it is not smaller.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > maxName || len(b) > maxName {
		return limit
	}
	var buf [3][maxName + 1]int
	before, last, row := &buf[0], &buf[1], &buf[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		low := row[0]
		for j := range len(b) {
			d := last[j]
			if a[i] != b[j] {
				d = 1 + min(last[j], last[j+1], row[j])
				if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
					d = min(d, before[j-1]+1)
				}
			}
			row[j+1] = d
			low = min(low, d)
		}
		if low > limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
