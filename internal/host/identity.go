package host

import (
	"bytes"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// firstLine returns the first line that is neither blank nor a comment, or "" if
// it is not printable text.
func firstLine(b []byte) string {
	for l := range bytes.Lines(b) {
		l = bytes.TrimSpace(l)
		if len(l) == 0 || l[0] == '#' {
			continue
		}
		if !utf8.Valid(l) || bytes.ContainsFunc(l, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return ""
		}
		return string(l)
	}
	return ""
}

// hostName is the name of the machine whose root is root. The kernel's own file
// (proc/sys/kernel/hostname) is of no use for another root: it answers with the
// name of the reader's container.
func hostName(root string) (string, error) {
	if !isOwn(root) {
		if name := line(below(root, "etc/hostname")); name != "" {
			return name, nil
		}
	}
	return os.Hostname()
}

func isOwn(root string) bool { return below(root, ".") == below("/", ".") }

// validID accepts what systemd writes, 32 hexadecimal digits, and UUIDs. A file
// that says "uninitialized" (an image before its first boot) or only zeros
// identifies no machine.
func validID(s string) bool {
	hex := strings.ReplaceAll(s, "-", "")
	if len(hex) != 32 || strings.Trim(hex, "0") == "" {
		return false
	}
	return strings.Trim(hex, "0123456789abcdefABCDEF") == ""
}
