// Reads zips: a line for each entry, with its SHA-256, or for an error.
package main

import (
	"archive/zip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := read(path); err != nil {
			fmt.Printf("%s\t!\t%s\n", path, err)
		}
	}
}

func read(path string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, file := range archive.File {
		content, err := file.Open()
		if err != nil {
			return err
		}
		hash := sha256.New()
		if _, err = io.Copy(hash, content); err != nil {
			return err
		}
		fmt.Printf("%s\t%s\t%x\n", path, file.Name, hash.Sum(nil))
	}
	return nil
}
