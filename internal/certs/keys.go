package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

var errUnsupportedKey = errors.New("unsupported key type; use RSA, ECDSA on P-256, P-384 or P-521, or Ed25519")

// keyName describes a public key: "RSA 2048", "ECDSA P-256", "Ed25519". It
// returns an error if crypto/tls cannot serve it.
func keyName(pub crypto.PublicKey) (string, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		bits := pub.N.BitLen()
		if bits < 1024 {
			return "", fmt.Errorf("RSA key of %d bits is too short; use 2048 or more", bits)
		}
		return fmt.Sprintf("RSA %d", bits), nil
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return "ECDSA " + pub.Curve.Params().Name, nil
		}
	case ed25519.PublicKey:
		return "Ed25519", nil
	}
	return "", errUnsupportedKey
}

// weakness says why peers may refuse a certificate for its cryptography; nil
// if nothing is known against it.
func weakness(c *x509.Certificate) error {
	if pub, ok := c.PublicKey.(*rsa.PublicKey); ok && pub.N.BitLen() < 2048 {
		return fmt.Errorf("RSA key of %d bits is weak; use 2048 or more", pub.N.BitLen())
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Errorf("the signature %v is weak; get a new certificate", c.SignatureAlgorithm)
	}
	return nil
}

// keyID identifies a public key among keys and certificates; "" for one that
// has no standard form.
func keyID(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	return string(der)
}
