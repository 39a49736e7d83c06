package s2s

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// config returns the TLS configuration of a connection.
func (n *opening) config(alpn ...string) (*tls.Config, error) {
	own, err := certs.ForHost(n.c.TLS, n.l.local)
	if err != nil {
		return nil, err
	}
	config := new(tls.Config)
	if own != nil {
		config = own.Clone()
	}
	config.ServerName = strings.Trim(certs.ASCIIName(n.l.remote), "[]")
	config.InsecureSkipVerify = true // checkCertificate does it: dialback may do instead
	config.NextProtos = alpn
	config.ClientSessionCache = nil // sessions are those of one pair of domains, and show no certificate
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := certificateFor(own, n.l.local, r)
		if cert == nil || err != nil {
			return new(tls.Certificate), nil
		}
		n.showed = len(cert.Certificate) > 0
		return cert, nil
	}
	return config, nil
}

// certificateFor returns what a configuration shows for one of our domains, nil for
// nothing.
func certificateFor(own *tls.Config, local string, r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	switch {
	case own == nil:
		return nil, nil
	case own.GetClientCertificate != nil:
		return own.GetClientCertificate(r)
	case own.GetCertificate != nil:
		hello := &tls.ClientHelloInfo{
			ServerName: certs.ASCIIName(local), SignatureSchemes: r.SignatureSchemes, SupportedVersions: []uint16{r.Version},
			SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}, SupportedPoints: []uint8{0},
		}
		for _, suite := range tls.CipherSuites() {
			hello.CipherSuites = append(hello.CipherSuites, suite.ID)
		}
		if cert, err := own.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range own.Certificates {
		leaf := own.Certificates[i].Leaf
		if leaf != nil && certs.ServesDomain(leaf, local) && r.SupportsCertificate(&own.Certificates[i]) == nil {
			return &own.Certificates[i], nil
		}
	}
	if len(own.Certificates) > 0 {
		return &own.Certificates[0], nil
	}
	return nil, nil
}

// roots returns the CAs that vouch for servers, nil: those of the system.
func (n *opening) roots() *x509.CertPool {
	own, err := certs.ForHost(n.c.TLS, n.l.local)
	if own == nil || err != nil {
		return nil
	}
	return own.RootCAs
}

var (
	errNoWay       = errors.New("remote server offers neither SASL EXTERNAL nor dialback that could be used")
	errNoDialback  = errors.New("dialback is not possible, and there is no TLS to prove who the remote server is")
	errKeyRefused  = errors.New("remote server says that the dialback key is invalid")
	errNoStreamID  = errors.New("stream of the remote server has no id")
	errSASLRefused = errors.New("remote server has refused SASL EXTERNAL")
)

// authenticate proves to the server that we serve the local domain: by our
// certificate where it believes that, else by dialback.
// See RFC 6120, section 13.8.3, XEP-0178, section 3, and XEP-0220.
func (n *opening) authenticate() *failure {
	byKey := n.c.dialback(n.l.local) && (n.features.Dialback || n.header.Dialback)
	switch {
	case byKey:
	case n.state == nil:
		return n.refuse(stepDialback, errNoDialback)
	case n.unproven != nil:
		return n.refuse(stepCertificate, n.unproven)
	}
	if n.showed && n.offers(byExternal) && !n.a.saslLoss {
		f, refused := n.external()
		if !refused || !byKey {
			return f
		}
		return n.dialbackInstead()
	}
	if !byKey {
		return n.refuse(stepSASL, errNoWay)
	}
	return n.dialback()
}

// dialbackInstead is dialback after SASL was refused. Some servers end the stream
// then: there will be another one, without SASL.
func (n *opening) dialbackInstead() *failure {
	f := n.dialback()
	if f == nil || errors.Is(f.err, os.ErrDeadlineExceeded) {
		return f
	}
	if ended := errors.As(f.err, new(peerError)); ended || !f.final {
		f.final, n.a.saslLoss = false, true
	}
	return f
}

// bothWays asks for stanzas in both directions.
// See XEP-0288, section 2.2.
func (n *opening) bothWays() error {
	proved := n.unproven == nil && n.state != nil || n.c.acceptsDialback(n.l.pair)
	if n.asked || !proved || !n.features.Bidi || !n.c.Bidi.For(n.l.local) {
		return nil
	}
	n.asked = true
	if n.s.both = n.l.goBothWays(); !n.s.both {
		return nil
	}
	return n.write("<bidi xmlns='" + xmppstream.NSBidi + "'/>")
}

// external is SASL EXTERNAL. refused: the stream goes on without it.
// See RFC 6120, section 6.
func (n *opening) external() (f *failure, refused bool) {
	if n.unproven == nil { // else anybody could send in the domain's name
		if err := n.bothWays(); err != nil {
			return n.fail(stepSASL, err), false
		}
	}
	if err := n.write(string(xmppstream.AppendAuth(nil, byExternal, []byte(n.l.local)))); err != nil {
		return n.fail(stepSASL, err), false
	}
	e, err := n.next()
	switch {
	case err != nil:
		return n.fail(stepSASL, err), false
	case e.Name == nameFailure:
		condition := "no reason"
		for _, c := range e.Children {
			if c.Name.Local != "text" {
				condition = xmppstream.Clip(c.Name.Local)
				break
			}
		}
		return n.refuse(stepSASL, fmt.Errorf("%w: %s", errSASLRefused, condition)), true
	case e.Name != nameSuccess:
		return n.fail(stepSASL, unexpected(e)), false
	}
	n.by, n.s.authed = byExternal, true
	return n.openStream(), false
}

// dialback has the server ask the one that the DNS names for our domain, which is
// us.
// See XEP-0220, section 2.1.1.
func (n *opening) dialback() *failure {
	if n.header.ID == "" {
		return n.refuse(stepDialback, errNoStreamID)
	}
	if err := n.bothWays(); err != nil {
		return n.fail(stepDialback, err)
	}
	key := dialbackKey(n.l.p.host.Secret, n.l.remote, n.l.local, n.header.ID)
	if err := n.write(dialback{Name: dbResult.Local, From: n.l.local, To: n.l.remote, Key: key}.String()); err != nil {
		return n.fail(stepDialback, err)
	}
	for {
		e, err := n.nextUntil(time.Time{})
		switch {
		case err == errWoken:
			continue
		case err != nil:
			return n.fail(stepDialback, err)
		case e.Name != dbResult:
			return n.fail(stepDialback, unexpected(e))
		}
		d, pr, err := parseDialback(e)
		switch {
		case err != nil:
			return n.fail(stepDialback, err)
		case pr != n.l.pair || d.Type == "":
			return n.fail(stepDialback, unexpected(e))
		case d.Type == dbValid:
			n.by = byDialback
			return nil
		case d.Type == dbInvalid:
			return n.refuse(stepDialback, errKeyRefused)
		}
		return n.refuse(stepDialback, fmt.Errorf("remote server has not verified the dialback key: %w", cmp.Or(d.Err, errVerifyTimeout)))
	}
}
