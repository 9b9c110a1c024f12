package bmc

import "fmt"

// Secret is a text that shows in no print, log or error. The zero value is empty.
type Secret struct {
	reveal func() string // prints as an address at worst
}

const redacted = "[redacted]"

// NewSecret returns a secret with a fixed text.
func NewSecret(text string) Secret { return SecretFrom(func() string { return text }) }

// SecretFrom returns a secret that is asked for each time that it is needed, so
// that it may change. The function may be called by another goroutine.
func SecretFrom(reveal func() string) Secret { return Secret{reveal} }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// String does not tell.
func (s Secret) String() string {
	if s.reveal == nil {
		return ""
	}
	return redacted
}

// MarshalText does not tell either.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Secret) set() bool { return s.reveal != nil }

func (s Secret) text() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}
