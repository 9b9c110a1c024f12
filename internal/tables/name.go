package tables

import "strings"

// maxName bounds the names that look-ups accept, in bytes. The longest key of any
// table has 40; anything above is not a name, and is not worth hashing.
const maxName = 128

// fold writes s to buf with ASCII letters in lower case and each byte of drop left
// out, and returns the part of buf that it filled; nil if s is too long.
func fold(buf *[maxName]byte, s, drop string) []byte {
	if len(s) > maxName {
		return nil
	}
	n := 0
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte(drop, c) >= 0 {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[n] = c
		n++
	}
	return buf[:n]
}

func lower(s string) string {
	var buf [maxName]byte
	return string(fold(&buf, s, ""))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// all says whether s is not empty and ok for every byte.
func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}
