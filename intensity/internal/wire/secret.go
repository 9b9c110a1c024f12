package wire

// Secret is a credential that no verb of package fmt shows, wherever it lies.
type Secret struct{ show func() string }

// NewSecret hides a credential.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Show returns the credential, for a request.
func (s Secret) Show() string {
	if s.show == nil {
		return ""
	}
	return s.show()
}

// String hides it.
func (Secret) String() string { return "[hidden]" }
