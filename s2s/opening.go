package s2s

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// opening is what a stream has to go through before it takes stanzas.
// See RFC 6120, section 4.3.
type opening struct {
	a        *attempt
	l        *link
	c        *Settings
	ctx      context.Context
	s        *outStream
	t        *xmppstream.TCP
	peer     netip.AddrPort
	deadline time.Time // zero: none

	header   stanza.Header // of the server's last stream
	features xmppstream.Features

	state    *tls.ConnectionState // nil: no TLS
	showed   bool                 // we have shown a certificate
	unproven error                // why the server's certificate does not prove its domain; nil: it does
	asked    bool                 // for both ways
	by       string               // what has authenticated us, for the log
}

// fail makes a failure of an error.
func (n *opening) fail(at step, err error) *failure {
	var ended peerError
	final := errors.As(err, &ended) && ended.isFinal()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer in time: %w", err)
	}
	if err == io.EOF {
		err = errClosed
	}
	return &failure{step: at, peer: n.peer, err: err, final: final}
}

// refuse makes a failure that other addresses would not change.
func (n *opening) refuse(at step, err error) *failure {
	return &failure{step: at, peer: n.peer, err: err, final: true}
}

var errClosed = errors.New("remote server closed the stream")

// connect makes the transport of a connection, with TLS where it comes first.
// See XEP-0368.
func (n *opening) connect(c net.Conn, direct bool) *failure {
	if !direct {
		n.t = newTransport(c)
		return nil
	}
	config, err := n.config("xmpp-server")
	if err != nil {
		return n.refuse(stepTLS, err)
	}
	over := tls.Client(c, config)
	if err := over.HandshakeContext(n.ctx); err != nil {
		return n.fail(stepTLS, err)
	}
	n.t = newTransport(over)
	state := over.ConnectionState()
	n.state = &state
	return n.checkCertificate()
}

// run leads to a stream that takes stanzas. It returns false when none waits any
// more.
func (n *opening) run() (ready bool, f *failure) {
	if f := n.openStream(); f != nil {
		return false, f
	}
	if f := n.encrypt(); f != nil {
		return false, f
	}
	if goOn, f := n.serveAsks(); f != nil || !goOn {
		return false, f
	}
	if f := n.authenticate(); f != nil {
		return false, f
	}
	n.s.authed = true
	return true, n.manage()
}

// openStream sends our header and waits for that of the server and its features.
func (n *opening) openStream() *failure {
	err := n.t.Header(stanza.Header{From: n.l.local, To: n.l.remote, Version: "1.0", Namespace: stanza.NSServer}, stanza.Batch{})
	if err != nil {
		return n.fail(stepStream, err)
	}
	if n.header, err = n.t.Open(); err != nil {
		return n.fail(stepStream, err)
	}
	if n.header.Namespace != stanza.NSServer {
		return n.refuse(stepStream, &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Err: errors.New("remote end is no server for servers")})
	}
	n.features = xmppstream.Features{}
	if n.header.Version == "" { // before XMPP 1.0 there are none
		return nil
	}
	e, err := n.next()
	if err != nil {
		return n.fail(stepStream, err)
	}
	if e.Name != nameFeatures {
		return n.fail(stepStream, unexpected(e))
	}
	n.features = xmppstream.ParseFeatures(e)
	return nil
}

func unexpected(e *stanza.Element) error {
	return fmt.Errorf("unexpected <%s xmlns='%s'/>", xmppstream.Clip(e.Name.Local), xmppstream.Clip(e.Name.Space))
}

// next returns the next element that the negotiation is about.
func (n *opening) next() (*stanza.Element, error) {
	for {
		in, err := n.t.Read()
		if err != nil && !xmppstream.IsWrongStanza(in, err) {
			return nil, err
		}
		if in.Stanza != nil {
			if err := n.s.take(n.ctx, in.Stanza, err); err != nil {
				return nil, err
			}
			continue
		}
		e := in.Nonza
		switch {
		case e.Name == nameError:
			return nil, streamErrorOf(e)
		case e.Name != dbVerify || e.Attr("type") == "":
			return e, nil
		}
		d, pr, err := parseDialback(e)
		if err != nil {
			return nil, err
		}
		n.l.answered(d, pr)
	}
}

// write sends elements.
func (n *opening) write(xml string) error {
	return n.t.Write(stanza.Batch{Bytes: []byte(xml), Ends: []int{len(xml)}})
}

var (
	errNoStartTLS  = errors.New("remote server does not offer STARTTLS, which is required here")
	errNeedsTLS    = errors.New("remote server requires TLS, which is off here")
	errTLSRefused  = errors.New("remote server has refused STARTTLS")
	errStrippedTLS = errors.New("remote server does not offer STARTTLS, after a handshake that failed")
)

// encrypt negotiates TLS by what the settings say.
// See RFC 6120, section 5.
func (n *opening) encrypt() *failure {
	switch offered := n.features.StartTLS; {
	case n.state != nil: // it came first
		return nil
	case n.c.UseStartTLS.For(n.l.local) == TLSOff:
		if n.features.RequireTLS {
			return n.refuse(stepStartTLS, errNeedsTLS)
		}
		return nil
	case offered:
		return n.startTLS()
	case n.c.mustEncrypt(n.l.local):
		return n.refuse(stepStartTLS, errNoStartTLS)
	case n.a.tlsBroke:
		return n.fail(stepStartTLS, errStrippedTLS)
	}
	return nil
}

func (n *opening) startTLS() *failure {
	config, err := n.config()
	if err != nil {
		return n.refuse(stepTLS, err)
	}
	if err := n.write("<starttls xmlns='" + xmppstream.NSTLS + "'/>"); err != nil {
		return n.fail(stepStartTLS, err)
	}
	e, err := n.next()
	if err == nil && e.Name != nameProceed {
		err = errTLSRefused
	}
	if err != nil {
		return n.fail(stepStartTLS, err)
	}
	if err := n.t.StartTLSClient(n.ctx, config); err != nil {
		return n.fail(stepTLS, err)
	}
	n.state = n.t.Peer().TLS
	if f := n.checkCertificate(); f != nil {
		return f
	}
	return n.openStream()
}

// checkCertificate finds out whether the server's certificate proves its domain.
func (n *opening) checkCertificate() *failure {
	n.unproven = proves(n.state, n.roots(), n.l.pair)
	if n.unproven != nil && n.c.UseStartTLS.For(n.l.local) == TLSRequiredTrusted {
		return n.refuse(stepCertificate, n.unproven)
	}
	return nil
}

// manage agrees on acknowledgements, where both servers can.
// See XEP-0198, section 3.
func (n *opening) manage() *failure {
	if !n.features.SM || n.c.AckTimeout <= 0 {
		return nil
	}
	enable := xmppstream.Enable{}
	if err := n.write(string(enable.AppendXML(nil))); err != nil {
		return n.fail(stepStream, err)
	}
	e, err := n.next()
	if err == nil && e.Name != nameEnabled && e.Name != nameNoManaged {
		err = unexpected(e)
	}
	if err != nil {
		return n.fail(stepStream, err)
	}
	n.s.managed = e.Name == nameEnabled
	return nil
}

// offers reports whether the server offers a SASL mechanism.
func (n *opening) offers(mechanism string) bool {
	return slices.Contains(n.features.Mechanisms, mechanism)
}
