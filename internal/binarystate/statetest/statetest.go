// Package statetest finds the fields of a struct that a codec of its state forgets.
package statetest

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"
)

// depth bounds how far Fill follows pointers: a tree is a few levels of nodes, and the last are zero.
const depth = 3

// Fill sets everything that the pointer leads to, unexported fields included, to values that differ from each other and
// from zero: numbers from 1 on, texts, and slices and maps of one element. What skip returns true for, with the name of
// its field such as "Miner.buf", stays as it is.
func Fill(pointer any, skip func(field string) bool) {
	f := filler{skip: skip, pointers: map[reflect.Type]int{}}
	f.fill(reflect.ValueOf(pointer).Elem())
}

type filler struct {
	n        int
	skip     func(string) bool
	pointers map[reflect.Type]int
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n % 127))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n%127) + 1) //nolint:gosec // small
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", f.n))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if f.pointers[v.Type()] >= depth {
			return
		}
		f.pointers[v.Type()]++
		f.fill(v.Elem())
		f.pointers[v.Type()]--
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if f.skip != nil && f.skip(v.Type().Name()+"."+field.Name) {
				continue
			}
			f.fill(reflect.NewAt(field.Type, unsafe.Pointer(v.Field(i).UnsafeAddr())).Elem()) //nolint:gosec // the field's own address
		}
	default:
		panic(fmt.Sprintf("statetest: cannot fill a %s", v.Type()))
	}
}

// Lost returns the paths of the fields in which two values of one type differ, in order, such as "edge.calls.settled": what
// got lost between a state and what came of reading it again.
func Lost(want, got any) []string {
	var lost []string
	diff(reflect.ValueOf(want), reflect.ValueOf(got), reflect.TypeOf(want).String(), &lost)
	return slices.Compact(lost)
}

func diff(a, b reflect.Value, path string, lost *[]string) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			diff(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name, lost)
		}
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				*lost = append(*lost, path)
			}
			return
		}
		diff(a.Elem(), b.Elem(), path, lost)
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			*lost = append(*lost, path)
			return
		}
		for i := range a.Len() {
			diff(a.Index(i), b.Index(i), path, lost)
		}
	case reflect.Map:
		if a.Len() != b.Len() {
			*lost = append(*lost, path)
			return
		}
		for _, key := range a.MapKeys() {
			other := b.MapIndex(key)
			if !other.IsValid() {
				*lost = append(*lost, path)
				return
			}
			diff(a.MapIndex(key), other, path, lost)
		}
	default:
		if !a.Equal(b) {
			*lost = append(*lost, path)
		}
	}
}
