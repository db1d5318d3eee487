package logpatternconnector

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

// classify says what kind of failure a pattern's template tells of, and with which ones it says nearly the same.
func (e *engine) classify(p *pattern) {
	if e.classes == nil {
		return
	}
	p.categories = e.classes.Categories(p.template)
	p.cluster = e.clusters.Add(p.idText, p.template, p.categories)
}

// putClasses tells of the categories and the cluster.
func (p *pattern) putClasses(attributes pcommon.Map) {
	if len(p.categories) > 0 {
		list := attributes.PutEmptySlice(semconv.AttrLogPatternCategories)
		list.EnsureCapacity(len(p.categories))
		for _, c := range p.categories {
			list.AppendEmpty().SetStr(c)
		}
	}
	if p.cluster != "" {
		attributes.PutStr(semconv.AttrLogPatternCluster, p.cluster)
	}
}

// putClass tells of the first category, by which series can be grouped. The cluster depends on which template came first,
// and would make other series of the same template after a restart.
func (p *pattern) putClass(attributes pcommon.Map) {
	if len(p.categories) > 0 {
		attributes.PutStr(semconv.AttrLogPatternCategory, p.categories[0])
	}
}
