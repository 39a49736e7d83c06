package netserve

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// TLSConn is the server side of a TLS connection. It has all methods of
// tls.Conn, CloseWrite and ConnectionState among them. The handshake runs with
// the first Read, Write or HandshakeContext.
type TLSConn struct {
	*tls.Conn
	below below
}

// below is what crypto/tls takes for the connection. It comes back in the
// ClientHelloInfo and tells there which TLSConn the client is talking to, so
// that one tls.Config can serve all connections.
type below struct {
	net.Conn
	above    *tls.Conn
	fallback string // server name of clients that do not tell one
	shown    atomic.Pointer[tls.Certificate]
	closed   atomic.Bool
}

// NetConn returns the connection itself, for As and Cut.
func (b *below) NetConn() net.Conn { return b.Conn }

// Close implements net.Conn. A connection that ends without a handshake is counted by
// the Counter below, if there is one.
func (b *below) Close() error {
	err := b.Conn.Close()
	if b.closed.Swap(true) {
		return err
	}
	// The state waits for a handshake under way, which has just ended.
	if k, ok := As[Counter](b.Conn); ok && !b.above.ConnectionState().HandshakeComplete {
		k.CountHandshakeFailure()
	}
	return err
}

// LocalCertificate returns the leaf certificate that this side has shown, in
// DER. It is nil before the handshake and for a resumed TLS 1.3 session, in
// which no certificate is shown. The caller must not modify it.
func (c *TLSConn) LocalCertificate() []byte {
	cert := c.below.shown.Load()
	if cert == nil || len(cert.Certificate) == 0 {
		return nil
	}
	return cert.Certificate[0]
}

// NetConn returns the connection below TLS.
func (c *TLSConn) NetConn() net.Conn { return c.below.Conn }

// SyscallConn gives access to the options of the socket: see Control.
func (c *TLSConn) SyscallConn() (syscall.RawConn, error) { return Control(c.below.Conn) }

// TLS makes TLSConns from one tls.Config. It copies the configuration, so a
// listener keeps one for all its connections.
type TLS struct {
	given  *tls.Config
	used   *tls.Config
	chosen atomic.Pointer[choice] // the last answer of given.GetConfigForClient
}

// choice is a configuration that GetConfigForClient returned, and our copy.
type choice struct{ given, used *tls.Config }

// NewTLS prepares cfg, which must not be changed afterwards. Session tickets
// are sealed with the keys of cfg, so all TLS values of one cfg resume each
// other's sessions; this holds also where cfg.GetConfigForClient returns
// another configuration, unless that one has WrapSession and UnwrapSession.
func NewTLS(cfg *tls.Config) *TLS {
	t := &TLS{given: cfg}
	t.used = t.wrap(cfg)
	if cfg.GetConfigForClient != nil {
		t.used.GetConfigForClient = t.configForClient
	}
	return t
}

// Server makes a TLS connection of c. A client that does not tell which server
// it wants (SNI) is taken to have asked for fallbackName.
func (t *TLS) Server(c net.Conn, fallbackName string) *TLSConn {
	s := &TLSConn{below: below{Conn: c, fallback: fallbackName}}
	s.Conn = tls.Server(&s.below, t.used)
	s.below.above = s.Conn
	return s
}

// wrap copies cfg to learn which certificate it shows.
func (t *TLS) wrap(cfg *tls.Config) *tls.Config {
	used := cfg.Clone()
	used.Certificates = nil // else GetCertificate is not asked without SNI
	used.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		hello, b := translate(hello)
		cert, err := certificate(cfg, hello)
		if b != nil {
			b.shown.Store(cert)
		}
		return cert, err
	}
	// A copy makes up its own ticket keys.
	used.SessionTicketsDisabled = cfg.SessionTicketsDisabled || t.given.SessionTicketsDisabled
	if cfg.WrapSession == nil && cfg.UnwrapSession == nil {
		used.WrapSession = t.given.EncryptTicket
		used.UnwrapSession = t.given.DecryptTicket
	}
	return used
}

func (t *TLS) configForClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	hello, _ = translate(hello)
	cfg, err := t.given.GetConfigForClient(hello)
	if cfg == nil || err != nil {
		return nil, err
	}
	if ch := t.chosen.Load(); ch != nil && ch.given == cfg {
		return ch.used, nil
	}
	ch := &choice{given: cfg, used: t.wrap(cfg)}
	t.chosen.Store(ch)
	return ch.used, nil
}

// translate gives the callbacks of the caller's configuration the connection
// that the caller knows, and the fallback name.
func translate(hello *tls.ClientHelloInfo) (*tls.ClientHelloInfo, *below) {
	b, ok := hello.Conn.(*below)
	if !ok {
		return hello, nil
	}
	h := *hello
	h.Conn = b.Conn
	if h.ServerName == "" {
		h.ServerName = b.fallback
	}
	return &h, b
}

var errNoCertificate = errors.New("tls: no certificate for this client")

// certificate chooses as crypto/tls does, except that it knows nothing of the
// deprecated NameToCertificate.
func certificate(cfg *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cfg.GetCertificate != nil && (len(cfg.Certificates) == 0 || hello.ServerName != "") {
		cert, err := cfg.GetCertificate(hello)
		if cert != nil || err != nil {
			return cert, err
		}
	}
	switch len(cfg.Certificates) {
	case 0:
		return nil, errNoCertificate
	case 1:
		return &cfg.Certificates[0], nil
	}
	for i := range cfg.Certificates {
		if hello.SupportsCertificate(&cfg.Certificates[i]) == nil {
			return &cfg.Certificates[i], nil
		}
	}
	return &cfg.Certificates[0], nil
}

// NewTLSListener returns a listener whose connections are *TLSConn. Accept
// does not wait for the handshake: it runs in the goroutine that reads or
// writes first.
func NewTLSListener(ln net.Listener, cfg *tls.Config) net.Listener {
	return &tlsListener{Listener: ln, tls: NewTLS(cfg)}
}

type tlsListener struct {
	net.Listener
	tls *TLS
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.tls.Server(c, ""), nil
}
