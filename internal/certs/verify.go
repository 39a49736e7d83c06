package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ErrNoCertificate is returned by VerifyPeer when the peer showed none.
var ErrNoCertificate = errors.New("peer showed no certificate")

// VerifyPeer verifies the certificate that a peer showed in the handshake, for
// those who ask for one (tls.RequestClientCert) and let others in all the same.
// The CAs are those that cfg has now for host, the virtual host that the peer
// talks to; those of the system if cfg is nil or has none. The certificate must
// allow one of usages, or say nothing about usage; none given means
// x509.ExtKeyUsageClientAuth. Whose certificate it is remains to be checked.
//
// It asks cfg.GetConfigForClient, if there is one, with nothing but the
// ServerName. It works for resumed sessions as for new ones, and does not read
// state.VerifiedChains. Except for the system's own verifier it does not block.
func VerifyPeer(cfg *tls.Config, host string, state tls.ConnectionState, usages ...x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, ErrNoCertificate
	}
	roots, err := ClientCAs(cfg, host)
	if err != nil {
		return nil, err
	}
	if len(usages) == 0 {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	opts := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   time.Now(),
		KeyUsages:     usages,
	}
	for _, c := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := state.PeerCertificates[0].Verify(opts)
	if err != nil {
		return nil, fmt.Errorf("peer's certificate: %w", err)
	}
	return chains, nil
}

// ClientCAs returns the CAs that cfg has now for a virtual host; nil: those of
// the system, who certify everybody. It asks cfg.GetConfigForClient as
// VerifyPeer does.
func ClientCAs(cfg *tls.Config, host string) (*x509.CertPool, error) {
	cfg, err := ForHost(cfg, host)
	if cfg == nil || err != nil {
		return nil, err
	}
	return cfg.ClientCAs, nil
}
