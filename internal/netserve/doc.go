// Package netserve runs a handler on every connection of a listener. It keeps,
// once for all modules, the life-cycle contract of their Listen methods: two
// stop signals, a back-off when accepting fails, and a recover for each
// connection.
//
// It also has the server side of TLS as the modules use it: connections that
// know which certificate they have shown. And it has what ends, or begins, with the
// context of a Listen, and what keeps a panic to where it belongs.
package netserve
