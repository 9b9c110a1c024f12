package nvml

import "strings"

const (
	maxUUID = 96 // nvml.h, NVML_DEVICE_UUID_V2_BUFFER_SIZE
	maxName = 96 // nvml.h, NVML_DEVICE_NAME_V2_BUFFER_SIZE
)

// saneUUID says whether a UUID can be a name in metrics and logs.
func saneUUID(s string) bool {
	if s == "" || len(s) > maxUUID {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-':
		default:
			return false
		}
	}
	return strings.Trim(s, "0123456789") != "" // a number is an index
}

// saneName returns what of a model's name is fit to print.
func saneName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s[:min(len(s), maxName)])
	if s == "" {
		return "NVIDIA GPU"
	}
	return s
}

// pciAddress turns the bus ID of NVML, 00000000:3B:00.0, into the name that the
// kernel has for it, 0000:3b:00.0. It is false for what is none.
func pciAddress(s string) (string, bool) {
	s = strings.ToLower(s)
	domain, rest, ok := strings.Cut(s, ":")
	if !ok || len(domain) < 4 || len(domain) > 8 || len(rest) != len("3b:00.0") || rest[2] != ':' || rest[5] != '.' {
		return "", false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != ':' && c != '.' {
			return "", false
		}
	}
	if strings.Count(s, ":") != 2 || strings.Count(s, ".") != 1 {
		return "", false
	}
	for len(domain) > 4 && domain[0] == '0' {
		domain = domain[1:]
	}
	return domain + ":" + rest, true
}
