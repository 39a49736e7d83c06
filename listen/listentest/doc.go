// Package listentest helps to test listener modules without a network: stream
// and datagram sockets in memory, a client that plays a script, and recorders
// for what a module hands to its host.
//
// A module gets a [Listener] in place of a socket, the test dials it:
//
//	ln := listentest.NewListener()
//	go module.Listen(ctx, ln, options)
//	c := listentest.NewClient(t, ln.Dial())
//	c.Send("<stream:stream …>")
//	c.Expect("<stream:features")
//
// Everything here works within the bubbles of testing/synctest, where time is
// simulated: connections wait in ways that count as idle.
package listentest
