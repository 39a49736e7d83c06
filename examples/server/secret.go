package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// secretFile holds the secret of components, in the data directory. The built-in
// configuration includes it.
const secretFile = "component-secret.yml"

// componentSecret makes the secret of components in dir, and returns it, if there
// is none.
func componentSecret(dir string) (made string, err error) {
	path := filepath.Join(dir, secretFile)
	switch _, err := os.Lstat(path); {
	case err == nil:
		return "", nil
	case !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("secret of components: %w", err)
	}
	made = rand.Text()
	text := "# What components log in with. To change it, change it here and reload.\n" +
		"define_macro:\n  COMPONENT_SECRET: \"" + made + "\"\n"
	if err := replaceFile(path, []byte(text)); err != nil {
		return "", fmt.Errorf("secret of components: %w", err)
	}
	return made, nil
}
