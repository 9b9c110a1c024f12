package tables

import "strings"

// matchKey turns the model name of a processor, as /proc/cpuinfo or the vendor's
// list has it, into the key of cpus.csv: lower case, without marks, frequency,
// generation, graphics, number of cores, and the words that lists leave out.
//
//	Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz → intel xeon platinum 8375c
//	AMD Ryzen 9 5950X 16-Core Processor           → amd ryzen 9 5950x
//	13th Gen Intel(R) Core(TM) i7-13700K          → intel core i7-13700k
func matchKey(model string) string {
	if len(model) > 4*maxName {
		return ""
	}
	s := strings.ToLower(model)
	s = strings.NewReplacer("(r)", " ", "(tm)", " ", "(c)", " ", "®", " ", "™", " ", "©", " ").Replace(s)
	s, _, _ = strings.Cut(s, "@")
	s = withoutParentheses(s)
	words := strings.Fields(s)
	if len(words) >= 2 && isOrdinal(words[0]) && words[1] == "gen" {
		words = words[2:]
	}
	kept := words[:0]
	for i, w := range words {
		if (w == "with" || w == "w/") && i+1 < len(words) && strings.HasPrefix(words[i+1], "radeon") {
			break
		}
		if word := strings.TrimRight(w, ","); word == "cpu" || word == "processor" || word == "apu" || isCoreCount(word) {
			w = w[len(word):]
		}
		if w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

// withoutParentheses replaces each "(" up to the next ")" by a space.
func withoutParentheses(s string) string {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(s, "(")
		_, after, closed := strings.Cut(rest, ")")
		if !open || !closed {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(before)
		b.WriteByte(' ')
		s = after
	}
}

// isOrdinal accepts 1st, 2nd, 11th, 13th.
func isOrdinal(w string) bool {
	return len(w) > 2 && all(w[:len(w)-2], isDigit) && all(w[len(w)-2:], isLower)
}

// isCoreCount accepts 16-core, dual-core.
func isCoreCount(w string) bool {
	n, ok := strings.CutSuffix(w, "-core")
	switch n {
	case "dual", "triple", "quad", "six", "eight", "twelve", "sixteen":
		return ok
	}
	return ok && all(n, isDigit)
}
