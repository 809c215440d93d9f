using System.Runtime.ExceptionServices;
using NablaGen.Distributed;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// The ranks that make a batch's rows together, as rank 0 has them: processes of their own, which keep the models that they load, and each of
/// which calls <see cref="RowHelper.Follow"/>. Where a row fails in the middle of its exchanges, they end, and new ones begin with the next row.
/// </summary>
/// <param name="begin">Begins a job of as many ranks as the rows are split over.</param>
/// <param name="prompts">What the prompt file held when it was read, for <see cref="RowHelper.Receive"/>.</param>
/// <param name="explain">The line of an error.</param>
public sealed class RowRanks(Func<RankJob> begin, PromptSource prompts, Func<Exception, string> explain) : IDisposable
{
    private RankJob? _job;

    /// <summary>Starts the other ranks, unless they run already.</summary>
    /// <exception cref="RankFaultException">They could not be started, or one has ended since.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Begin()
    {
        if (_job is not null)
        {
            return;
        }

        try
        {
            _job = begin();
        }
        catch (NablaGenException error) when (error is not RankFaultException)
        {
            throw new RankFaultException(error.Message, cause: error);
        }

        Step(job => job.World.Share(RowCall.Prompts(prompts), isPatient: true));
    }

    /// <summary>Makes a row with the others.</summary>
    /// <param name="row">The row.</param>
    /// <param name="pipeline">Its model.</param>
    /// <param name="work">Calls <c>Generate</c> of the pipeline once.</param>
    /// <exception cref="RankFaultException">A rank was lost or failed; the line names it.</exception>
    internal T Make<T>(BatchRow row, TextToVideo pipeline, Func<T> work)
    {
        Begin();
        var isBusy = false;
        ExceptionDispatchInfo? own = null;
        var made = Step(job =>
        {
            pipeline.World = job.World;
            pipeline.Calling = () =>
            {
                isBusy = true;
                job.World.Share(RowCall.Of(row), isPatient: true);
            };
            pipeline.Released = () => isBusy = false;
            try
            {
                return work();
            }
            catch (Exception error) when (!isBusy)
            {
                // The others know nothing of the row, or are through with it: they wait for the next one.
                own = ExceptionDispatchInfo.Capture(error);
                return default;
            }
            finally
            {
                (pipeline.World, pipeline.Calling, pipeline.Released) = (null, null, null);
            }
        });
        own?.Throw();
        return made!;
    }

    /// <summary>Lets the other ranks go.</summary>
    public void Dispose()
    {
        if (_job is null)
        {
            return;
        }

        try
        {
            Step(job => job.World.Share(RowCall.End, isPatient: true));
            _job.Complete();
        }
        catch (Exception error) when (error is NablaGenException or OperationCanceledException)
        {
            // They have gone already.
        }

        End();
    }

    private T Step<T>(Func<RankJob, T> work)
    {
        try
        {
            return _job!.Step(() => work(_job), explain);
        }
        catch
        {
            // They may wait in an exchange that never comes.
            End();
            throw;
        }
    }

    private void End()
    {
        _job?.Dispose();
        _job = null;
    }
}
