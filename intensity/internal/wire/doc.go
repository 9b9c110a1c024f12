// Package wire has the rules by which intensity providers use HTTP, once for all of
// them: time and size are bounded, redirects are not followed, TLS is not optional, and
// no error holds a credential, a query or what else is not for a log.
package wire
