package stanza

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// Transport is one XMPP stream without its framing: TCP (RFC 6120), WebSocket
// (RFC 7395) and BOSH (XEP-0206) each implement it.
//
// One goroutine reads (Open, Read) and one at a time writes (Header, Write);
// the two may run at once. Close, Peer, SetLimits and SetRate are safe from
// any goroutine. Errors of reads are a *StreamError when the peer broke a rule
// (the caller reports it by Close), io.EOF when it closed the stream in order,
// and otherwise those of the connection.
type Transport interface {
	// Open waits for the peer's stream header. It is called again after each
	// negotiation that restarts the stream.
	Open() (Header, error)

	// Header answers with our stream header, together with batch, which may be
	// empty, in one write.
	Header(h Header, batch Batch) error

	// Read waits for the next child of the stream. What it returns is the
	// caller's; nothing of it is reused. A *Error comes together with the stanza
	// that it refuses, for the caller to answer; the stream goes on.
	Read() (Incoming, error)

	// Write sends a batch. It does not keep it. It returns when the operating
	// system (or the HTTP client's next poll) has taken the bytes, or at the
	// write deadline.
	Write(b Batch) error

	// SetReadDeadline and SetWriteDeadline bound Open and Read, and Header and
	// Write; a zero time means no bound. As with net.Conn, a call that waits
	// already is concerned too.
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error

	// SetLimits bounds what Read takes from now on.
	SetLimits(l Limits)

	// SetRate limits how fast the peer is read from now on.
	SetRate(r shaper.Rate)

	// Close ends the stream: with a stream error if reason is not nil, then in
	// order, then the connection itself. Bytes of Write calls that returned
	// precede it. It waits for the peer no longer than the write deadline, at
	// most a few seconds. Only the first call has an effect.
	Close(reason *StreamError) error

	// Standalone reports whether each element travels as a document of its own,
	// as in RFC 7395 and BOSH: then stanzas are written with their namespace,
	// and stream elements declare the stream prefix.
	Standalone() bool

	// Peer tells who is at the other end. The answer changes once, when TLS is
	// negotiated within the stream.
	Peer() Peer
}

// Header is what a stream header says, before anybody has checked it.
// See RFC 6120, section 4.7.
type Header struct {
	From, To  string
	ID        string // ours to the peer
	Lang      string // xml:lang
	Version   string // "" when absent, which means before XMPP 1.0
	Namespace string // content namespace: NSClient, NSServer, NSComponent
	Dialback  bool   // the peer's declares the namespace of server dialback (XEP-0220, section 2.4.1)
}

// Incoming is one child of a stream: exactly one of its fields is set.
type Incoming struct {
	Stanza *Stanza
	Nonza  *Element // any other element, such as <auth/>, <starttls/> or <r/>
	Size   int      // bytes on the wire
}

// Batch is a run of complete elements for one write.
type Batch struct {
	Bytes []byte
	Ends  []int // offset in Bytes of the end of each element, ascending
}

// Limits bounds one child of a stream.
type Limits struct {
	Bytes    int // most bytes of one element; 0: 262144
	Elements int // most elements in it, itself included; 0: 10000
	Depth    int // deepest nesting; 0: 128
}

// Peer tells who is at the other end of a stream.
type Peer struct {
	Addr   netip.AddrPort       // zero for a unix socket
	Name   string               // of the transport: "tcp", "unix", "websocket", "bosh"
	Secure bool                 // encrypted, or local by nature (unix socket)
	TLS    *tls.ConnectionState // nil without TLS that ends in this process
	// Certificate is the leaf that this side showed in the handshake, DER, for
	// the channel binding tls-server-end-point; nil when it is not known.
	Certificate []byte
}
