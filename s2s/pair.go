package s2s

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// pair is the domains at the ends of a stream. Stanzas go from one to the other,
// in the direction of the stream.
type pair struct{ local, remote string }

// String returns local and remote for logs and errors.
func (p pair) String() string { return p.local + " and " + p.remote }

// proves says why the certificate that a server showed does not prove that it
// serves the remote domain of p; nil: it does. roots vouch for servers, nil: those
// of the system.
// See RFC 6120, section 13.7.2, and XEP-0178, section 3.
func proves(state *tls.ConnectionState, roots *x509.CertPool, p pair) error {
	return new(verdicts).prove(state, roots, p)
}

// verdicts remembers for a connection what CAs say of its certificate. To look for
// them again for each domain would cost a server that shows many certificates
// nothing, and us much.
type verdicts struct {
	mu sync.Mutex
	of map[*x509.CertPool]verdict
}

type verdict struct {
	chains [][]*x509.Certificate
	err    error
}

// maxVerdicts is how many sets of CAs are remembered.
const maxVerdicts = 8

// chains returns the chains to some of roots that are valid now.
func (v *verdicts) chains(state *tls.ConnectionState, roots *x509.CertPool) (valid [][]*x509.Certificate, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.of[roots]
	if !ok {
		// One certificate serves a server at both ends of its streams, and many CAs
		// make such as are for one end only.
		known.chains, known.err = certs.VerifyPeer(&tls.Config{ClientCAs: roots}, "", *state, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
		if v.of == nil || len(v.of) >= maxVerdicts {
			v.of = make(map[*x509.CertPool]verdict)
		}
		v.of[roots] = known
	}
	if known.err != nil {
		return nil, known.err
	}
	now := time.Now()
	for _, chain := range known.chains {
		if !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.After(c.NotAfter) }) {
			valid = append(valid, chain)
		}
	}
	if len(valid) == 0 {
		return nil, errExpired
	}
	return valid, nil
}

var (
	errInClear = errors.New("no TLS")
	errExpired = errors.New("peer's certificate has expired")
)

func (v *verdicts) prove(state *tls.ConnectionState, roots *x509.CertPool, p pair) error {
	switch {
	case state == nil:
		return errInClear
	case len(state.PeerCertificates) == 0:
		return certs.ErrNoCertificate
	case !certs.ServesDomain(state.PeerCertificates[0], p.remote):
		return fmt.Errorf("certificate is not for %q", p.remote)
	}
	chains, err := v.chains(state, roots)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if certs.MayServe(chain, p.remote) {
			return nil
		}
	}
	return fmt.Errorf("the CA of the certificate may not vouch for %q", p.remote)
}
