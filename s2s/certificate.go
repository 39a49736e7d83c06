package s2s

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// askForCertificate returns a configuration that asks peers for a certificate even
// if cfg does not. Those that have none are let in as before.
func askForCertificate(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	used := ask(cfg)
	if cfg.GetConfigForClient != nil {
		used = used.Clone()
		used.GetConfigForClient = askVariants(cfg.GetConfigForClient)
	}
	return used
}

func ask(cfg *tls.Config) *tls.Config {
	if cfg.ClientAuth != tls.NoClientCert {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ClientAuth = tls.RequestClientCert
	return cfg
}

// askVariants does the same to what GetConfigForClient returns. The answer is the
// same value for as long as the other one is, because others keep copies of it.
func askVariants(choose func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	type variant struct{ given, used *tls.Config }
	var last atomic.Pointer[variant]
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		cfg, err := choose(hello)
		if cfg == nil || err != nil {
			return nil, err
		}
		v := last.Load()
		if v == nil || v.given != cfg {
			v = &variant{cfg, ask(cfg)}
			last.Store(v)
		}
		return v.used, nil
	}
}

// proves says why what a server showed in TLS does not prove that it speaks for
// p.remote; nil: it does.
func (s *stream) proves(p pair) error {
	roots, err := certs.ClientCAs(s.l.o.TLS, p.local)
	if err == nil {
		err = s.verdicts.prove(s.t.Peer().TLS, roots, p)
	}
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", p.remote, err)
	}
	return nil
}

// vouched says why no CA vouches for a server that has not said who it is; nil:
// one does.
func (l *listener) vouched(state *tls.ConnectionState, local string) error {
	if state == nil {
		return certs.ErrNoCertificate
	}
	_, err := certs.VerifyPeer(l.o.TLS, local, *state, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	return err
}

// trust looks at the certificate of a server that has sent its header. It refuses
// one that proves nothing where only certificates do, once there is TLS or must be.
func (s *stream) trust() error {
	state := s.t.Peer().TLS
	if s.remote == "" {
		s.neg.proof = s.l.vouched(state, s.local)
	} else {
		s.neg.proof = s.proves(pair{s.local, s.remote})
	}
	c := s.l.srv.settings.Load()
	if s.neg.proof == nil || state == nil && (s.canEncrypt() || !c.mustEncrypt(s.local)) || s.acceptsDialback() {
		return nil
	}
	return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: s.neg.proof.Error()}
}

// acceptsDialback reports whether the server may prove the domain of its header by
// dialback.
func (s *stream) acceptsDialback() bool {
	c := s.l.srv.settings.Load()
	if s.remote == "" {
		return c.dialback(s.local)
	}
	return c.acceptsDialback(pair{s.local, s.remote})
}
