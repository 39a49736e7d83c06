package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// renewBefore is how long before its end a self-made certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// selfSigned returns the path of a certificate with its key for hosts, in dir,
// named after the first of them. It makes one if there is none that is good for
// these hosts and for some weeks to come.
func selfSigned(dir string, hosts []string) (string, error) {
	path := filepath.Join(dir, fileName(hosts[0])+".pem")
	if leaf, err := readLeaf(path); err == nil && good(leaf, hosts) {
		return path, nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("self-made certificate: %w; remove the file to have it made anew", err)
	}
	cert, key, err := certs.SelfSigned(hosts)
	if err != nil {
		return "", fmt.Errorf("self-made certificate: %w", err)
	}
	if err := replaceFile(path, slices.Concat(key, cert)); err != nil {
		return "", fmt.Errorf("self-made certificate: %w", err)
	}
	return path, nil
}

// replaceFile writes a file that only this user can read. The name stands for a
// whole file at any time, so that a crash does not leave half of one.
func replaceFile(path string, data []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	return err
}

// fileName makes a file name of a domain, which may be an address.
func fileName(domain string) string {
	return strings.NewReplacer(":", "_", "/", "_", "*", "_").Replace(domain)
}

func readLeaf(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%s holds no certificate", path)
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

func good(leaf *x509.Certificate, hosts []string) bool {
	for _, h := range hosts {
		if leaf.VerifyHostname(h) != nil {
			return false
		}
	}
	return time.Until(leaf.NotAfter) > renewBefore
}

// fingerprint returns the SHA-256 fingerprint of the certificate in a file, as
// clients show it.
func fingerprint(path string) (string, error) {
	leaf, err := readLeaf(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(leaf.Raw)
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	return strings.Join(pairs, ":"), nil
}
