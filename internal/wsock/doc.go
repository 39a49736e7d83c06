// Package wsock is the server's side of WebSocket (RFC 6455) for protocols whose
// messages are small and many, on connections that are idle most of the time.
//
// nhooyr.io/websocket makes the handshake. Frames are our own matter: with that
// package's a connection has a goroutine and 8 KiB of buffers for as long as it lives,
// and each message is a system call; here an idle connection has neither, and what is
// to be sent together goes out in one write. On loopback an echo of 200 bytes took 15 µs
// instead of 21, most of it system calls; an idle connection, with all of net/http, 21 kB
// instead of 28, and a client of c2s that httpd has let go of net/http 10 kB.
//
// Messages may be compressed (RFC 7692), each by itself: what that needs is pooled, and
// an idle connection has nothing of it either.
package wsock
