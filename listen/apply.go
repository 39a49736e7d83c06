package listen

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// Change says what Apply did about an entry.
type Change int

const (
	// Kept: the entry is as before, and so is its listener.
	Kept Change = iota
	// Added: the listener is new.
	Added
	// Updated: new sessions have the new options. Those that were there keep
	// theirs, for as long as they live. A datagram listener has changed its
	// options in place.
	Updated
	// Restarted: a datagram listener has ended and begins again, on the same
	// socket if that could be kept; or a stream listener has a new socket, and
	// the sessions go on.
	Restarted
	// Removed: the socket is closed. The sessions have the grace period.
	Removed
)

// String returns the word for c.
func (c Change) String() string {
	return [...]string{"kept", "added", "updated", "restarted", "removed"}[c]
}

// Step is what Apply did about one entry.
type Step struct {
	Entry       Entry // the new one; when it was removed, the old
	Change      Change
	Bound       string       // address of the socket: with port 0 this is where the port is
	Differences []Difference // of options, when Updated or Restarted
	Err         error        // what failed though the configuration as a whole was applied
}

// Difference is an option or a definition that two configurations have
// otherwise. It can be printed: passwords and the like are hidden.
type Difference = conf.Difference

// Compare says what Apply would do with c while old runs: about each entry, and
// what else differs. It decides as Apply does, and opens nothing: Bound is empty,
// and that a module can change its options while it runs is taken for granted
// if it says that it can.
func (c *Config) Compare(old *Config) (steps []Step, rest []Difference, err error) {
	s := &Server{reg: NewRegistry()}
	for _, e := range old.Entries {
		s.listeners = append(s.listeners, &listener{entry: e})
	}
	p, err := s.plan(c.Entries)
	for _, change := range p.changes {
		steps = append(steps, change.Step)
	}
	for _, l := range p.removed {
		steps = append(steps, Step{Entry: l.entry, Change: Removed})
	}
	return steps, conf.Differences(old.settings, c.settings), err
}

// change is a Step in the making.
type change struct {
	Step
	l        *listener // that runs the entry; nil: there is none yet
	replaces *listener // has the address, and the entry needs another socket
	bound    *bound    // socket for a new listener
}

// plan is how to get from what runs to a configuration.
type plan struct {
	changes []*change   // in the order of the file
	removed []*listener // that no entry is for
	replace []*listener // that a new listener for the same address is for
}

// Apply makes the server run a configuration: the first one, and every other
// that replaces it.
//
// All sockets that are new are opened first. If one cannot be opened, the
// error has all of these (each an *Error with the position of its entry), and
// nothing has changed. Where a new address overlaps with one that goes away,
// such as 127.0.0.1:5222 after 0.0.0.0:5222, the old socket has to be closed
// before; it is opened again if something fails.
//
// Then access rules, shapers and certificates change, also for sessions that are
// there, the sections get their values, and the listeners follow: see Change.
// What fails at this stage is in the Err of a Step and in the error, and
// everything else is done. The Steps are in the order of the file, and then those
// that were removed.
//
// Apply blocks while sockets are opened, for which it obeys ctx, and not until
// sessions have ended.
func (s *Server) Apply(ctx context.Context, c *Config) ([]Step, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrServerClosed
	}
	p, err := s.plan(c.Entries)
	if err == nil {
		err = s.bind(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	c.swap()
	c.use() // a section may ask the new rules
	return s.commit(p)
}

// plan compares entries with the listeners that run. A listener is found by the
// address that it was configured with.
func (s *Server) plan(entries []Entry) (*plan, error) {
	idle := make(map[string][]*listener)
	for _, l := range s.listeners {
		idle[l.entry.key()] = append(idle[l.entry.key()], l)
	}
	p := &plan{}
	var errs []error
	for i, e := range entries {
		if e.kind.name == "" {
			e.kind = s.reg.kinds[e.Module]
		}
		if err := e.check(i); err != nil {
			errs = append(errs, err)
			continue
		}
		c := &change{Step: Step{Entry: e, Change: Added}}
		if same := idle[e.key()]; len(same) > 0 {
			n := slices.IndexFunc(same, func(l *listener) bool { return e.same(&l.entry) }) // of several with port 0
			if n < 0 {
				n = max(0, slices.IndexFunc(same, func(l *listener) bool { return l.entry.Network == e.Network }))
			}
			c.match(same[n])
			idle[e.key()] = slices.Delete(same, n, n+1)
		}
		if c.replaces != nil {
			p.replace = append(p.replace, c.replaces)
		}
		p.changes = append(p.changes, c)
	}
	for _, l := range s.listeners {
		if left := idle[l.entry.key()]; len(left) > 0 && left[0] == l {
			idle[l.entry.key()] = left[1:]
			p.removed = append(p.removed, l)
		}
	}
	return p, errors.Join(errs...)
}

// match decides what becomes of the listener that has the address of c.
func (c *change) match(l *listener) {
	old := &l.entry
	switch {
	case l.isLost(), c.Entry.Network != old.Network, c.Entry.datagram() && c.Entry.Socket.Readers != old.Socket.Readers:
		c.replaces, c.Change = l, Restarted
	case c.Entry.same(old):
		c.l, c.Change = l, Kept
	default:
		c.l, c.Change = l, Updated
		if c.Entry.datagram() && !c.Entry.updates(old) {
			c.Change = Restarted
		}
	}
	if c.Change != Kept {
		c.Differences = conf.Differences(old.settings, c.Entry.settings)
	}
}

// updates reports whether the module of old may be able to go on with e.
func (e *Entry) updates(old *Entry) bool { return e.kind.update != nil && e.Module == old.Module }

// key is the address of an entry as configured. Whether an IPv6 wildcard takes
// IPv4 connections, too, depends on the other entries and is no part of it.
func (e *Entry) key() string { return strings.TrimRight(e.Network, "46") + " " + e.Address }

func (e *Entry) datagram() bool { return sock.Datagram(e.Network) }

// same reports whether two entries for one address are equal. Those that were
// not made by Parse have no spec.
func (e *Entry) same(o *Entry) bool {
	if e.spec != "" || o.spec != "" {
		return e.spec == o.spec
	}
	return e.Module == o.Module && e.TLS == o.TLS && reflect.DeepEqual(e.Socket, o.Socket) && reflect.DeepEqual(e.Options, o.Options)
}

// check refuses an entry that Parse would not have made.
func (e *Entry) check(i int) error {
	switch {
	case e.kind.name == "":
		return e.problem(i, fmt.Errorf("this build has no module %q", e.Module))
	case e.datagram() && e.kind.packet == nil || !e.datagram() && e.kind.stream == nil:
		return e.problem(i, fmt.Errorf("module %q does not serve sockets of %q", e.Module, e.Network))
	}
	if _, err := sock.ParseProxies(e.Socket.ProxyFrom); err != nil {
		return e.problem(i, err)
	}
	return nil
}

// problem gives err the position of the entry, the i-th of its file.
func (e *Entry) problem(i int, err error) *Error {
	return &Error{File: e.File, Line: e.Line, Column: e.Column, Path: fmt.Sprintf("listen[%d]", i), Msg: err.Error(), Err: err}
}

// commit puts a plan into effect; all its sockets are open.
func (s *Server) commit(p *plan) ([]Step, error) {
	var errs []error
	var steps []Step
	var listeners []*listener
	for i, c := range p.changes {
		if c.replaces != nil && c.Entry.datagram() {
			s.remove(c.replaces)
		}
		switch {
		case c.replaces != nil && !c.Entry.datagram():
			c.l = c.replaces
			c.l.move(c.Entry, c.bound)
		case c.l == nil:
			c.l = s.newListener(c.Entry, c.bound)
			c.l.begin()
		case c.Change == Kept:
			c.l.setEntry(c.Entry)
		default:
			c.Change, c.Err = c.l.change(c.Entry)
		}
		if c.Err != nil {
			errs = append(errs, c.Entry.problem(i, c.Err))
		}
		c.Bound = c.l.bound.addr().String()
		steps = append(steps, c.Step)
		listeners = append(listeners, c.l)
	}
	for _, l := range p.removed {
		s.remove(l)
		steps = append(steps, Step{Entry: l.entry, Change: Removed, Bound: l.bound.addr().String()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = listeners
	for _, i := range s.inherited {
		if s.applied {
			break // said by the first Apply
		}
		s.log.Warn("no listener uses an inherited socket", "name", i.Name, "address", i.addr().String())
	}
	s.applied = true
	return steps, errors.Join(errs...)
}
