package certs

import (
	"errors"
	"fmt"
	"io/fs"
)

// Problem is something wrong with TLS options or with the files that they
// name. It implements error.
type Problem struct {
	// Key is the option at fault, without prefix: certfiles, certfile, cafile,
	// ciphers, dhfile, protocol_options or tls_compression.
	Key string
	// Index is the element of a list option, from 0; -1 for other options and
	// for the list as a whole.
	Index int
	// Host is the virtual host whose override (Spec.Hosts) is at fault; "" for
	// the options of the listener itself.
	Host string
	// Path is the file at fault; "" if it is no file.
	Path string
	// Err says what is wrong, without repeating Path.
	Err error
	// Warning means that the options can be used all the same.
	Warning bool
}

// Error returns the path, if there is one, and what is wrong.
func (p *Problem) Error() string {
	if p.Path == "" {
		return p.Err.Error()
	}
	return fmt.Sprintf("%q: %v", p.Path, p.Err)
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// reporter collects problems of one option.
type reporter struct {
	key  string
	list []*Problem
}

func (r *reporter) fail(index int, path string, err error) {
	r.list = append(r.list, &Problem{Key: r.key, Index: index, Path: path, Err: err})
}

func (r *reporter) warn(index int, path string, err error) {
	r.list = append(r.list, &Problem{Key: r.key, Index: index, Path: path, Err: err, Warning: true})
}

// failed reports whether one of the problems is no warning.
func failed(list []*Problem) bool {
	for _, p := range list {
		if !p.Warning {
			return true
		}
	}
	return false
}

// pathless returns what a file operation failed with, without the path, which
// a Problem has already.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
