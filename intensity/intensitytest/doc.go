// Package intensitytest has what tests of intensity providers share: a server that
// replays answers without a socket, and the contract that every provider keeps,
// whatever the server does.
package intensitytest
