package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Report is what Check has found.
type Report struct {
	Schema   int              // version
	Pages    int64            // of the file
	Records  map[string]int64 // by table
	Problems []Problem        // the first hundred
	Omitted  int              // how many problems more there are
}

// Problem is something that is wrong with a file.
type Problem struct {
	Table string // "" for one of the file as a whole
	Key   string // readable, "" for one of the table as a whole
	Text  string
}

// String returns the problem in one line.
func (p Problem) String() string {
	var parts []string
	for _, s := range []string{p.Table, p.Key, p.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// OK reports whether there was no problem.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// maxProblems is how many problems a Report lists.
const maxProblems = 100

func (r *Report) add(p Problem) {
	if len(r.Problems) == maxProblems {
		r.Omitted++
		return
	}
	r.Problems = append(r.Problems, p)
}

// Check reads the whole file of a store that nobody has open for writing, and
// reports what is wrong with it: pages first; when they are sound, all records. Of
// a store that is in use, check a backup. Errors: those of Open, of ctx, and of the system.
func Check(ctx context.Context, path string) (Report, error) {
	r, err := check(ctx, path, len(migrations())+1)
	if err != nil {
		return r, fmt.Errorf("store %q: %w", path, err)
	}
	return r, nil
}

func check(ctx context.Context, path string, known int) (r Report, err error) {
	log := slog.New(slog.DiscardHandler)
	db, err := openFile(log, path, true, 0)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkPages(ctx, path, &r); err != nil || !r.OK() {
		return r, err
	}
	err = guarded(log, func() error { return db.View(checkTables(ctx, &r, known)) })
	return r, err
}

// checkTables checks a file whose pages are sound: by bbolt's own check and by
// ours.
func checkTables(ctx context.Context, r *Report, known int) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) (err error) {
		for err := range tx.Check() {
			r.add(Problem{Text: err.Error()})
		}
		if !r.OK() {
			return nil
		}
		if r.Schema, err = schemaOf(tx, known); err != nil {
			return err
		}
		c := &checker{ctx: ctx, tx: tx, report: r}
		return c.tables()
	}
}

// checkPages checks what bbolt takes for granted.
func checkPages(ctx context.Context, path string, r *Report) error {
	return readPages(path, func(f *os.File, h header) error {
		r.Pages = int64(h.end)
		w := &walker{ctx: ctx, file: f, header: h, report: func(format string, args ...any) {
			r.add(Problem{Text: fmt.Sprintf(format, args...)})
		}}
		if err := w.walk(); err != nil {
			return err
		}
		w.leaked()
		return nil
	})
}

// readPages opens a file to read its pages past bbolt.
func readPages(path string, read func(*os.File, header) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := readHeader(f, info.Size())
	if err != nil {
		return err
	}
	return read(f, h)
}

// checker checks the records of a file whose pages are sound.
type checker struct {
	ctx    context.Context
	tx     *bbolt.Tx
	report *Report
	table  table
	count  int64 // of the table's records
}

// problem reports something about a key; nil is none.
func (c *checker) problem(key []byte, err error) {
	if err != nil {
		name := ""
		if key != nil {
			name = fmt.Sprintf("%q", key)
		}
		c.report.add(Problem{c.table.String(), name, err.Error()})
	}
}

func (c *checker) tables() error {
	c.report.Records = make(map[string]int64)
	if err := c.tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		for t := range tables {
			if string(name) == t.String() {
				return nil
			}
		}
		c.report.add(Problem{Text: fmt.Sprintf("there is an unknown table %q", name)})
		return nil
	}); err != nil {
		return err
	}
	for t := accountTable; t < tables; t++ {
		if c.tx.Bucket(t.name()) == nil {
			continue // the file is of a version before this table
		}
		c.table, c.count = t, 0
		var err error
		switch t {
		case rosterTable, offlineTable, privateTable:
			err = c.sections()
		case grantTable:
			err = c.grants()
		case ownGrantTable:
			err = c.ownGrants()
		case clientTable:
			err = c.clients()
		default:
			err = c.singles()
		}
		if err != nil {
			return err
		}
		c.report.Records[t.String()] = c.count
		want, err := decodeCount(c.tx.Bucket(metaTable.name()).Get(countKey(t)))
		if err == nil && int64(want) != c.count {
			err = fmt.Errorf("it has %d records, and should have %d", c.count, want)
		}
		c.problem(nil, err)
	}
	return nil
}

// each calls f for everything in the table.
func (c *checker) each(f func(key, value []byte)) error {
	n := 0
	return c.tx.Bucket(c.table.name()).ForEach(func(key, value []byte) error {
		if n++; n%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if value == nil {
			c.problem(key, errors.New("there is a table within the table"))
			return nil
		}
		f(key, value)
		return nil
	})
}

// singles checks a table with one record for a user.
func (c *checker) singles() error {
	last := c.tx.Bucket(c.table.name()).Sequence()
	return c.each(func(key, value []byte) {
		c.count++
		revision, err := c.single(key, value)
		if err == nil && revision > last {
			err = fmt.Errorf("its revision is %d, and %d was the last", revision, last)
		}
		c.problem(key, err)
	})
}

func (c *checker) single(key, value []byte) (revision uint64, err error) {
	parse := parseUser
	if c.table == accountTable {
		parse = parseAccountKey
	}
	user, err := parse(key)
	if err == nil {
		err = wantCanonical(user)
	}
	if err != nil {
		return 0, err
	}
	switch c.table {
	case accountTable:
		a, accountErr := decodeAccount(user, value)
		return a.Revision, accountErr
	case lastTable:
		_, err = decodeActivity(value)
	case vcardTable:
		_, err = decodeText(value)
	case blockingTable:
		l, blockErr := decodeBlockList(value)
		return l.Revision, errors.Join(blockErr, wantCanonical(l.Blocked...))
	}
	return 0, err
}

// wantCanonical returns an error for the first address that differs from what its
// preparation gives: nobody would find it. Reading takes addresses as they are.
func wantCanonical(list ...stanza.JID) error {
	for _, j := range list {
		prepared, err := stanza.ParseJID(j.String())
		if err != nil {
			return err
		}
		if prepared != j {
			return fmt.Errorf("the address %q is not in its canonical form", j)
		}
	}
	return nil
}

// section is what a table has of one user: a header, then the records.
type section struct {
	prefix []byte
	header any // nil: none
	total
	newest uint64 // version of an item
}

// sections checks a table with a header and several records for a user.
func (c *checker) sections() error {
	var s section
	last := c.tx.Bucket(c.table.name()).Sequence()
	err := c.each(func(key, value []byte) {
		user, sub, err := splitKey(key)
		if err != nil {
			c.problem(key, err)
			return
		}
		if p := key[:len(key)-len(sub)]; !bytes.Equal(p, s.prefix) {
			c.problem(s.prefix, s.compare(last))
			s = section{prefix: bytes.Clone(p)}
			c.problem(p, wantCanonical(user))
		}
		if len(sub) == 0 {
			s.header, err = c.header(value)
		} else {
			c.count++
			err = c.record(&s, sub, value, last)
		}
		c.problem(key, err)
	})
	c.problem(s.prefix, s.compare(last))
	return err
}

func (c *checker) header(value []byte) (any, error) {
	if c.table == rosterTable {
		return decodeRosterHeader(value)
	}
	return decodeTotal(value)
}

// record checks one record and adds it to the sums of its section.
func (c *checker) record(s *section, sub, value []byte, last uint64) error {
	s.count++
	switch c.table {
	case rosterTable:
		contact, err := stanza.StoredJID(string(sub))
		if err == nil {
			err = wantCanonical(contact)
		}
		if err != nil {
			return err
		}
		i, err := decodeItem(contact, value)
		s.newest = max(s.newest, i.Version)
		return err
	case offlineTable:
		m, err := decodeMessage(sub, value)
		if c.report.Schema > 1 { // before, headers did not count bytes
			s.bytes += uint64(textSize(value))
		}
		if err == nil && m.Key > last {
			return fmt.Errorf("its number is above %d, the last one", last)
		}
		return err
	default:
		xml, err := decodeText(value)
		s.bytes += uint64(len(xml))
		return err
	}
}

// compare compares the header of a section with what follows it.
func (s *section) compare(last uint64) error {
	switch h := s.header.(type) {
	case rosterHeader:
		if h.count != s.count || s.newest > h.Current || h.Deleted > h.Current || h.Current > last {
			return fmt.Errorf("the header says %d items, version %d, deleted %d; there are %d, the newest of version %d; %d was the last version", h.count, h.Current, h.Deleted, s.count, s.newest, last)
		}
	case total:
		if h != s.total || h.count == 0 {
			return fmt.Errorf("the header says %d records of %d bytes; there are %d of %d", h.count, h.bytes, s.count, s.bytes)
		}
	case nil:
		if s.count > 0 {
			return errors.New("there is no header")
		}
	}
	return nil
}
