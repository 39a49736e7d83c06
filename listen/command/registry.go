package command

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry holds commands by name. The zero Registry is empty and ready. It is safe
// for concurrent use, and its readers do not wait; it must not be copied.
type Registry struct {
	mu     sync.Mutex // serialises Add
	byName atomic.Pointer[map[string][]Command]
}

// Newest is the version of the API that has all commands as they are today.
const Newest = math.MaxInt

// Add adds commands: all of them, or none and an error. The error is about a
// command that could not be called, or whose name is taken for its version. What the
// commands consist of must not change afterwards.
func (r *Registry) Add(list ...Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[string][]Command, len(list))
	maps.Copy(m, r.commands())
	for _, c := range list {
		if err := c.check(); err != nil {
			return err
		}
		at, taken := slices.BinarySearchFunc(m[c.Name], c.Since, func(c Command, since int) int { return cmp.Compare(c.Since, since) })
		if taken {
			return fmt.Errorf("there is a command %s already", c.Name)
		}
		m[c.Name] = slices.Insert(slices.Clone(m[c.Name]), at, c)
	}
	r.byName.Store(&m)
	return nil
}

// Get returns the command of a name, as it is today.
func (r *Registry) Get(name string) (c Command, ok bool) { return r.At(name, Newest) }

// At returns the command of a name as it is in a version of the API: the newest
// definition that is not younger.
func (r *Registry) At(name string, version int) (c Command, ok bool) {
	for _, older := range slices.Backward(r.commands()[name]) {
		if older.Since <= version {
			return older, true
		}
	}
	return Command{}, false
}

// List returns all commands, as they are today, sorted by name.
func (r *Registry) List() []Command {
	list := make([]Command, 0, len(r.commands()))
	for _, versions := range r.commands() {
		list = append(list, versions[len(versions)-1])
	}
	slices.SortFunc(list, func(a, b Command) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (r *Registry) commands() map[string][]Command {
	if p := r.byName.Load(); p != nil {
		return *p
	}
	return nil
}
