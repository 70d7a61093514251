"""A job goes well."""


async def test_every_record_is_asked_once_and_delivered_once(bench):
    bench.simulate()
    report = await bench.run(bench.job(250))
    bench.check(report, asked=250, good=250)
