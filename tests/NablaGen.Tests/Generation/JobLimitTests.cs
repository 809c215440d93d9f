using NablaGen.Attention;
using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

/// <summary>The time that the first layer shows, and who is asked about it.</summary>
public sealed class JobLimitTests
{
    [Fact]
    public void The_first_layer_shows_the_time_once()
    {
        var found = new List<TimeSpan>();
        var forecast = new SamplingForecast(2, 100, CPU, found.Add);
        forecast.OnDense(new AttentionSite(0, 0));
        Assert.Empty(found);
        Thread.Sleep(20);
        forecast.OnDense(new AttentionSite(0, 1));
        forecast.OnDense(new AttentionSite(0, 0));
        // A layer of 20 ms, two of them in each of 100 passes.
        Assert.InRange(Assert.Single(found).TotalSeconds, 4, 60);
    }

    [Fact]
    public void A_short_first_layer_is_warming_up_and_the_second_one_counts()
    {
        var found = new List<TimeSpan>();
        var forecast = new SamplingForecast(30, 1, CPU, found.Add);
        forecast.OnDense(new AttentionSite(0, 0));
        forecast.OnDense(new AttentionSite(0, 1));
        Assert.Empty(found);
        forecast.OnDense(new AttentionSite(0, 2));
        Assert.Single(found);

        var late = new SamplingForecast(1, 1, CPU, found.Add);
        late.OnDense(new AttentionSite(0, 0));
        late.OnStep(0, null!);
        late.OnDense(new AttentionSite(1, 0));
        Assert.Single(found);
    }

    [Theory]
    [InlineData(23, 1, null)]
    [InlineData(30, 1, "sampling takes about 30 hours")]
    [InlineData(20, 4, "sampling 4 videos takes about 3.3 days")]
    [InlineData(1e7, 1000, "sampling 1000 videos takes about more than a century")]
    public void More_than_a_day_is_asked_about(double hours, int videos, string? question)
    {
        var asked = new List<string>();
        JobLimit Limit(bool agrees) => new(what =>
        {
            asked.Add(what);
            return agrees;
        })
        {
            Videos = videos,
        };
        var agreed = Limit(true);
        agreed.CheckTime(TimeSpan.FromHours(hours));
        agreed.CheckTime(TimeSpan.FromHours(hours));
        Assert.Equal(question is null ? [] : [question], asked);
        if (question is not null)
        {
            var error = Assert.Throws<NablaGenException>(() => Limit(false).CheckTime(TimeSpan.FromHours(hours)));
            Assert.StartsWith($"{question}, and nobody has agreed to more than a day: --yes", error.Message);
        }
    }
}
