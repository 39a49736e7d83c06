// Package xmpp puts load on an XMPP server and checks what it does with it.
//
// It knows nothing of the server: it speaks RFC 6120, RFC 6121, XEP-0114,
// XEP-0198 and XEP-0220 over the sockets it is given. Its client is made to be cheap, because it
// shares the machine with the server: it cuts what comes into elements by
// looking for their ends and understands just what the workloads need. It
// trusts the server to send well-formed XML, and accepts any certificate.
//
// Each workload is a struct of its parameters with a method Run, which returns
// a meter.Result. Everything is bounded: messages and sessions in number, runs
// in time.
package xmpp
