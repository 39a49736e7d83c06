package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt takes the pages of a file for what they say, and ends the process when
// that is nonsense. Here they are read without trust.

// Sizes and marks of bbolt's file format.
const (
	pageHeaderSize = 16
	metaSize       = 64 // with its checksum
	elementSize    = 16 // of a page's list of elements
	bucketSize     = 16 // of a bucket in its parent
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	noFreeList     = 1<<64 - 1

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freeListPage = 0x10

	bucketElement = 0x01
)

// native is the byte order of a file: that of the machine.
var native = binary.NativeEndian

// header says how a file is to be read. It is that of its last transaction.
type header struct {
	pageSize int
	root     uint64 // page of the root bucket
	freeList uint64 // page of the list of free pages
	end      uint64 // the first page behind all that are in use
	tx       uint64
}

// parseMeta reads one of the two pages that a file begins with.
func parseMeta(page []byte) (header, bool) {
	if len(page) < pageHeaderSize+metaSize {
		return header{}, false
	}
	m := page[pageHeaderSize : pageHeaderSize+metaSize]
	sum := fnv.New64a()
	sum.Write(m[:metaSize-8])
	ok := native.Uint32(m) == boltMagic && native.Uint32(m[4:]) == boltVersion && native.Uint64(m[metaSize-8:]) == sum.Sum64()
	return header{
		pageSize: int(native.Uint32(m[8:])),
		root:     native.Uint64(m[16:]),
		freeList: native.Uint64(m[32:]),
		end:      native.Uint64(m[40:]),
		tx:       native.Uint64(m[48:]),
	}, ok
}

// readHeader finds the last transaction of a file and checks that the file is as
// long as that says.
func readHeader(f io.ReaderAt, size int64) (header, error) {
	var last header
	found, magic := false, false
	// The second meta page is behind the first, whose size may be unreadable.
	for offset := int64(0); offset <= 1<<16; offset = max(2*offset, 1024) {
		buf := make([]byte, pageHeaderSize+metaSize)
		if _, err := f.ReadAt(buf, offset); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return header{}, err
		}
		magic = magic || native.Uint32(buf[pageHeaderSize:]) == boltMagic
		h, ok := parseMeta(buf)
		if ok && (offset == 0 || offset == int64(h.pageSize)) && (!found || h.tx > last.tx) {
			last, found = h, true
		}
	}
	switch {
	case !found && !magic:
		return header{}, ErrNoStore
	case !found:
		return header{}, fmt.Errorf("%w: both of its first pages are broken", ErrDamaged)
	case last.pageSize < 1024 || last.pageSize > 1<<16 || last.pageSize&(last.pageSize-1) != 0:
		return header{}, fmt.Errorf("%w: pages of %d bytes", ErrDamaged, last.pageSize)
	case last.end > 1<<47/uint64(last.pageSize) || size < int64(last.end)*int64(last.pageSize):
		return header{}, fmt.Errorf("%w: it has %d bytes, which is not all of its %d pages", ErrDamaged, size, last.end)
	case last.root < 2 || last.root >= last.end:
		return header{}, fmt.Errorf("%w: its root is at page %d of %d", ErrDamaged, last.root, last.end)
	}
	return last, nil
}

// page is the header of a page.
type page struct {
	id       uint64
	flags    uint16
	count    uint16
	overflow uint32 // more pages that belong to it
}

func parsePage(b []byte) (page, bool) {
	if len(b) < pageHeaderSize {
		return page{}, false
	}
	return page{native.Uint64(b), native.Uint16(b[8:]), native.Uint16(b[10:]), native.Uint32(b[12:])}, true
}

// readPage reads a page with those that belong to it.
func readPage(f io.ReaderAt, h header, id uint64) (page, []byte, error) {
	if id < 2 || id >= h.end {
		return page{}, nil, fmt.Errorf("%w: page %d of %d", ErrDamaged, id, h.end)
	}
	b := make([]byte, h.pageSize)
	if _, err := f.ReadAt(b, int64(id)*int64(h.pageSize)); err != nil {
		return page{}, nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	p, _ := parsePage(b)
	if p.id != id || uint64(p.overflow) >= h.end-id {
		return page{}, nil, fmt.Errorf("%w: page %d says that it is page %d and goes on for %d", ErrDamaged, id, p.id, p.overflow)
	}
	if p.overflow > 0 {
		b = make([]byte, (int(p.overflow)+1)*h.pageSize)
		if _, err := f.ReadAt(b, int64(id)*int64(h.pageSize)); err != nil {
			return page{}, nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
		}
	}
	return p, b, nil
}

// readFreePages reads the list of free pages.
func readFreePages(f io.ReaderAt, h header) ([]uint64, error) {
	if h.freeList == noFreeList {
		return nil, nil
	}
	p, b, err := readPage(f, h, h.freeList)
	if err != nil {
		return nil, err
	}
	if p.flags != freeListPage {
		return nil, fmt.Errorf("%w: page %d has no list of free pages", ErrDamaged, p.id)
	}
	b = b[pageHeaderSize:]
	n := uint64(p.count)
	if n == 0xFFFF {
		n, b = native.Uint64(b), b[8:]
	}
	if n > uint64(len(b)/8) {
		return nil, fmt.Errorf("%w: the list of free pages does not fit into its page", ErrDamaged)
	}
	free := make([]uint64, n)
	for i := range free {
		free[i] = native.Uint64(b[8*i:])
		if free[i] < 2 || free[i] >= h.end || i > 0 && free[i] <= free[i-1] {
			return nil, fmt.Errorf("%w: the list of free pages is not in order at page %d", ErrDamaged, free[i])
		}
	}
	return free, nil
}

// checkRoot checks the pages that are read when a file is opened: those with the
// list of the tables, and the table meta, which is small: one page.
func checkRoot(f io.ReaderAt, h header) error {
	list, err := readRoot(f, h)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.bucket || string(e.key) != metaTable.String() {
			continue
		}
		if len(e.value) < bucketSize {
			return fmt.Errorf("%w: the table meta is too short", ErrDamaged)
		}
		if root := native.Uint64(e.value); root != 0 {
			_, err := readLeaf(f, h, root)
			return err
		}
		if _, err := parseInline(e.value); err != nil {
			return fmt.Errorf("%w: the table meta: %w", ErrDamaged, err)
		}
	}
	return nil
}

// maxRootPages bounds the pages with the list of the tables. Tables that are small are
// in the list themselves, so that a few dozen of them can take several.
const maxRootPages = 64

// readRoot reads the list of the tables: a page, or those below it.
func readRoot(f io.ReaderAt, h header) ([]element, error) {
	p, b, err := readPage(f, h, h.root)
	if err != nil {
		return nil, err
	}
	elements, err := parseElements(p, b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, h.root, err)
	case p.flags != branchPage:
		return elements, nil
	case len(elements) == 0:
		return nil, fmt.Errorf("%w: page %d is an empty branch", ErrDamaged, h.root)
	case len(elements) > maxRootPages:
		return nil, fmt.Errorf("%w: it has too many tables", ErrNoStore)
	}
	var list []element
	for _, e := range elements {
		below, err := readLeaf(f, h, e.child)
		if err != nil {
			return nil, err
		}
		list = append(list, below...)
	}
	return list, nil
}

// readLeaf reads a page that has no others below.
func readLeaf(f io.ReaderAt, h header, id uint64) ([]element, error) {
	p, b, err := readPage(f, h, id)
	if err != nil {
		return nil, err
	}
	if p.flags == branchPage {
		return nil, fmt.Errorf("%w: it has too many tables", ErrNoStore)
	}
	elements, err := parseElements(p, b)
	if err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	return elements, nil
}

// parseInline reads the page of a bucket that is in its value.
func parseInline(value []byte) ([]element, error) {
	p, ok := parsePage(value[bucketSize:])
	if !ok || p.flags != leafPage {
		return nil, errors.New("its page is no leaf")
	}
	return parseElements(p, value[bucketSize:])
}

// walker reads all pages of a file and says what is wrong with them.
type walker struct {
	ctx  context.Context
	file io.ReaderAt
	header
	used   []bool // by page
	report func(format string, args ...any)
}

// maxDepth is how deep trees may be; bbolt's are a few levels.
const maxDepth = 64

// walk checks everything that bbolt relies on. An error is that of ctx.
func (w *walker) walk() error {
	w.used = make([]bool, w.end)
	free, err := readFreePages(w.file, w.header)
	if err != nil {
		w.report("%v", err)
		return nil
	}
	for _, id := range free {
		w.used[id] = true
	}
	if w.freeList != noFreeList {
		p, _, _ := readPage(w.file, w.header, w.freeList)
		w.claim(p)
	}
	return w.tree(w.root, nil, nil, 0)
}

// leaked reports the pages that nobody can use any more, which does no harm but
// to the size of the file. It comes after walk.
func (w *walker) leaked() {
	for id, used := range w.used {
		if id >= 2 && !used {
			w.report("page %d is neither in use nor free", id)
		}
	}
}

// claim notes that a page is in use, and reports whether it was not.
func (w *walker) claim(p page) bool {
	ok := true
	for id := p.id; id <= p.id+uint64(p.overflow); id++ {
		if w.used[id] {
			w.report("page %d is in use twice, or in use and free", id)
			ok = false
		}
		w.used[id] = true
	}
	return ok
}

// tree checks the pages below one, whose keys are at least from and less than to
// (nil: no bound).
func (w *walker) tree(id uint64, from, to []byte, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		w.report("page %d is too deep", id)
		return nil
	}
	p, b, err := readPage(w.file, w.header, id)
	if err != nil {
		w.report("%v", err)
		return nil
	}
	if !w.claim(p) {
		return nil
	}
	elements, err := parseElements(p, b)
	if err != nil {
		w.report("page %d: %v", id, err)
		return nil
	}
	if p.flags == branchPage && len(elements) == 0 {
		w.report("page %d is an empty branch", id)
	}
	w.order(id, elements, from, to)
	for i, e := range elements {
		end := to
		if i+1 < len(elements) {
			end = elements[i+1].key
		}
		switch {
		case p.flags == branchPage:
			err = w.tree(e.child, e.key, end, depth+1)
		case e.bucket:
			err = w.bucket(id, e, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket, whose pages are elsewhere or in its value.
func (w *walker) bucket(id uint64, e element, depth int) error {
	if len(e.value) < bucketSize {
		w.report("page %d: the bucket %q is too short", id, e.key)
		return nil
	}
	if root := native.Uint64(e.value); root != 0 {
		return w.tree(root, nil, nil, depth)
	}
	elements, err := parseInline(e.value)
	if err != nil {
		w.report("page %d: the bucket %q: %v", id, e.key, err)
		return nil
	}
	w.order(id, elements, nil, nil)
	for _, inner := range elements {
		if inner.bucket {
			w.report("page %d: the bucket %q has a bucket within", id, e.key)
		}
	}
	return nil
}

// order checks that keys ascend.
func (w *walker) order(id uint64, elements []element, from, to []byte) {
	for i, e := range elements {
		switch {
		case i == 0 && bytes.Compare(e.key, from) < 0,
			i > 0 && bytes.Compare(e.key, elements[i-1].key) <= 0,
			to != nil && bytes.Compare(e.key, to) >= 0:
			w.report("page %d: the key %q is not in order", id, e.key)
			return
		}
	}
}

// element is a key of a page, with a value or the page below.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

func parseElements(p page, b []byte) ([]element, error) {
	if p.flags != branchPage && p.flags != leafPage {
		return nil, fmt.Errorf("it has the unknown type %#x", p.flags)
	}
	if pageHeaderSize+int(p.count)*elementSize > len(b) {
		return nil, fmt.Errorf("it is too short for %d elements", p.count)
	}
	elements := make([]element, p.count)
	for i := range elements {
		at := b[pageHeaderSize+i*elementSize:]
		var e element
		var pos, keySize, valueSize uint32
		if p.flags == branchPage {
			pos, keySize, e.child = native.Uint32(at), native.Uint32(at[4:]), native.Uint64(at[8:])
		} else {
			e.bucket = native.Uint32(at)&bucketElement != 0
			pos, keySize, valueSize = native.Uint32(at[4:]), native.Uint32(at[8:]), native.Uint32(at[12:])
		}
		end := uint64(pos) + uint64(keySize) + uint64(valueSize)
		if keySize == 0 || end > uint64(len(at)) {
			return nil, fmt.Errorf("its element %d lies outside", i)
		}
		e.key = at[pos : pos+keySize : pos+keySize]
		e.value = at[pos+keySize : end : end]
		elements[i] = e
	}
	return elements, nil
}
