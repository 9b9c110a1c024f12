package nvidiasmi

import (
	"fmt"
	"strings"
)

// A choice is one GPU that the user asked for.
type choice struct {
	index  int    // −1: by UUID
	prefix string // of the UUID
	text   string // as it was configured
}

func (c choice) fits(index int, uuid string) bool {
	if c.index >= 0 {
		return c.index == index
	}
	return strings.HasPrefix(uuid, c.prefix)
}

// A selection is what GPUs to read; nil means all.
type selection []choice

func (s selection) has(index int, uuid string) bool {
	for _, c := range s {
		if c.fits(index, uuid) {
			return true
		}
	}
	return s == nil
}

// maxIndex is above what any machine has.
const maxIndex = 1023

// parseDevices reads Config.Devices.
func parseDevices(devices []string) (selection, error) {
	if len(devices) == 0 {
		return nil, nil
	}
	s := selection{}
	for _, d := range devices {
		text := strings.TrimSpace(d)
		c := choice{index: -1, text: text}
		switch {
		case text == "-1": // what follows is invisible to CUDA
			if len(s) == 0 {
				return nil, fmt.Errorf("%s: devices begin with -1, which selects none: leave the sensor out instead", sensorName)
			}
			return s, nil
		case strings.HasPrefix(text, "MIG-GPU-"): // MIG-GPU-<UUID of the GPU>/<instance>/<instance>, drivers before 470
			c.prefix, _, _ = strings.Cut(strings.TrimPrefix(text, "MIG-"), "/")
		case strings.HasPrefix(text, "GPU-"):
			c.prefix = text
		case strings.HasPrefix(text, "MIG-"):
			return nil, fmt.Errorf("%s: device %q: a MIG instance has no power of its own: name its GPU, which nvidia-smi -L shows above it", sensorName, text)
		default:
			n, ok := parseIndex([]byte(text))
			if !ok {
				return nil, fmt.Errorf("%s: device %q is neither an index nor a UUID (GPU-…) that nvidia-smi -L shows", sensorName, text)
			}
			c.index = n
		}
		if c.index < 0 && !isUUIDPrefix(c.prefix) {
			return nil, fmt.Errorf("%s: device %q is not the beginning of a UUID as nvidia-smi -L shows it", sensorName, text)
		}
		s = append(s, c)
	}
	return s, nil
}

// uuidForm is the form of a UUID: x stands for a hexadecimal digit.
const uuidForm = "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

func isUUID[T string | []byte](s T) bool { return len(s) == len(uuidForm) && isUUIDPrefix(s) }

// isUUIDPrefix says whether s is the beginning of a UUID, with a digit at least.
func isUUIDPrefix[T string | []byte](s T) bool {
	if len(s) <= len("GPU-") || len(s) > len(uuidForm) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if uuidForm[i] != 'x' {
			if c != uuidForm[i] {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// parseIndex reads a small number without leading zeros.
func parseIndex(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 4 || (b[0] == '0' && len(b) > 1) {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, n <= maxIndex
}
