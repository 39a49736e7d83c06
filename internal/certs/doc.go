// Package certs turns the TLS options of a configuration file (certfiles,
// certfile, cafile, ciphers, protocol_options, …) into a tls.Config.
//
// Load reads the certificates of a configuration into an immutable Set. A Ref
// holds the Set in use. A Spec holds the options of one listener; its Build
// makes a tls.Config that looks the certificate up in the Ref at each
// handshake, so that Ref.Swap renews certificates under running listeners.
package certs
