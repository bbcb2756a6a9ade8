// node run.mjs SUITE BASE-URL: runs the suite at SUITE against BASE-URL, scores it by the suite's own rule, and
// writes one JSON object per line: {"done": n, "of": m} as it goes, {"tests": [...]} at the end.

const [suite, base] = process.argv.slice(2)
const suiteFile = name => import(`file://${suite}/${name}`)
const { default: groups } = await suiteFile('tests/index.mjs')
const { runTests, getResults } = await suiteFile('test-engine/client/runner.mjs')
const { determineTestResult, resultTypes } = await suiteFile('test-engine/lib/results.mjs')

const AT_ONCE = 25 // the suite's own measure
const say = object => process.stdout.write(JSON.stringify(object) + '\n')
const nameOf = result => Object.keys(resultTypes).find(name => resultTypes[name] === result)

const all = groups.flatMap(group => group.tests.filter(test => !test.browser_only).map(test => ({ group, test })))
for (let at = 0; at < all.length; at += AT_ONCE) {
  const some = all.slice(at, at + AT_ONCE).map(({ test }) => test)
  await runTests([{ name: '', tests: some }], false, base, AT_ONCE)
  say({ done: Math.min(at + AT_ONCE, all.length), of: all.length })
}
const results = getResults()
say({
  tests: all.map(({ group, test }) => ({
    id: test.id,
    group: group.name,
    kind: test.kind ?? 'required',
    verdict: nameOf(determineTestResult(groups, test.id, results)),
    detail: Array.isArray(results[test.id]) ? results[test.id][1] : ''
  }))
})
