package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// inherent are OpenSSL option words for what crypto/tls always does, or for
// what it does not have.
var inherent = map[string]bool{
	"no_sslv2": true, "no_sslv3": true, "no_tlsv1": true, "no_tlsv1_1": true,
	"no_compression": true, "no_renegotiation": true, "cipher_server_preference": true,
	"single_dh_use": true, "single_ecdh_use": true, "no_session_resumption_on_renegotiation": true,
}

// protocolWords splits protocol_options into words.
func protocolWords(options []string) []string {
	var words []string
	for _, o := range options {
		for w := range strings.SplitSeq(o, "|") {
			if w = strings.ToLower(strings.TrimSpace(w)); w != "" {
				words = append(words, w)
			}
		}
	}
	return words
}

// setProtocols applies protocol_options. TLS 1.0 and 1.1 are never on.
func setProtocols(cfg *tls.Config, options []string) []*Problem {
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS13
	var no12, no13 bool
	r := reporter{key: "protocol_options"}
	for i := range options {
		for _, w := range protocolWords(options[i : i+1]) {
			switch {
			case w == "no_tlsv1_2":
				no12 = true
			case w == "no_tlsv1_3":
				no13 = true
			case w == "no_ticket":
				cfg.SessionTicketsDisabled = true
			case !inherent[w]:
				r.warn(i, "", fmt.Errorf("unknown option %q ignored", w))
			}
		}
	}
	switch {
	case no12 && no13:
		r.fail(-1, "", errors.New("no_tlsv1_2 and no_tlsv1_3 leave no version of TLS; remove one"))
	case no12:
		cfg.MinVersion = tls.VersionTLS13
	case no13:
		cfg.MaxVersion = tls.VersionTLS12
	}
	return r.list
}

// setCiphers applies ciphers, after setProtocols.
func setCiphers(cfg *tls.Config, list string) []*Problem {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	r := reporter{key: "ciphers"}
	ids, warnings, err := parseCiphers(list)
	if cfg.MinVersion == tls.VersionTLS13 {
		r.warn(-1, "", errors.New("has no effect: without TLS 1.2 there is nothing to choose, the suites of TLS 1.3 are fixed"))
		return r.list
	}
	for _, w := range warnings {
		r.warn(-1, "", w)
	}
	if err != nil {
		r.fail(-1, "", err)
		return r.list
	}
	cfg.CipherSuites = ids
	return r.list
}
