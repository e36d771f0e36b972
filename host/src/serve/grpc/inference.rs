//! The Open Inference Protocol over gRPC.

use super::proto::inference as proto;
use super::{Named, status};
use crate::serve::bundles::Active;
use crate::serve::http::{Call, Problem};
use crate::serve::metrics::Endpoint;
use crate::serve::oip::{self, Data, Datatype, EXTENSIONS, OUTPUTS, PLATFORM, SERVER, Tensor};
use bytes::Bytes;
use proto::model_infer_request::InferInputTensor;
use proto::model_infer_response::InferOutputTensor;
use proto::model_metadata_response::TensorMetadata;
use proto::*;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service; what it needs is the worker of its thread.
#[derive(Clone, Copy)]
pub(super) struct Inference;

#[tonic::async_trait]
impl grpc_inference_service_server::GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        let call = Named::of(request.into_parts().0, Endpoint::Info)?.call()?;
        Ok(Response::new(ServerReadyResponse { ready: call.worker.shared.is_ready() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let call = Named::of(metadata, Endpoint::Info)?.call()?;
        let ready = oip::model(&call.worker, &request.name, &request.version).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let extensions = EXTENSIONS.iter().map(|name| (*name).to_owned()).collect();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Response::new(ServerMetadataResponse { name: SERVER.into(), version, extensions }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let call = Named::of(metadata, Endpoint::Info)?.call()?;
        let active = oip::model(&call.worker, &request.name, &request.version).map_err(|problem| status(&problem))?;
        let tensor = |(name, datatype): (&str, Datatype)| TensorMetadata {
            name: name.into(),
            datatype: datatype.name().into(),
            shape: vec![-1],
        };
        Ok(Response::new(ModelMetadataResponse {
            name: active.described.name.clone(),
            versions: vec![active.described.version.clone()],
            platform: PLATFORM.into(),
            inputs: oip::inputs(&active).map(tensor).collect(),
            outputs: OUTPUTS.into_iter().map(tensor).collect(),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let named = Named::of(metadata, Endpoint::GrpcInfer)?;
        let Prepared { active, rows, id, wanted, raw } =
            prepare(&named.call()?, request).map_err(|problem| status(&problem))?;
        let mut inferred = Vec::with_capacity(rows.len());
        for row in rows {
            // Nothing of the worker may live across the pause.
            inferred.push(oip::infer(&named.call()?, &row).map_err(|problem| status(&problem))?);
            tokio::task::yield_now().await;
        }
        let tensors = oip::output_tensors(&inferred, &wanted).map_err(|problem| status(&problem))?;
        Ok(Response::new(respond(&active, id, tensors, raw)))
    }
}

/// A request to infer, read.
struct Prepared {
    active: Arc<Active>,
    rows: Vec<Vec<u8>>,
    id: String,
    wanted: Vec<String>,
    raw: bool,
}

fn prepare(call: &Call, request: ModelInferRequest) -> Result<Prepared, Problem> {
    let active = oip::model(&call.worker, &request.model_name, &request.model_version)?;
    let raw = !request.raw_input_contents.is_empty();
    if raw && request.raw_input_contents.len() != request.inputs.len() {
        return Err(Problem::bad("TENSOR", "raw_input_contents has to have one entry an input"));
    }
    let mut contents = request.raw_input_contents.into_iter();
    let tensors = request.inputs.into_iter().map(|input| tensor(input, contents.next()));
    let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
    let rows = oip::requests(&active, &tensors, &request.id, call.worker.shared.settings.limits.batch_rows)?;
    let wanted = request.outputs.into_iter().map(|output| output.name).collect();
    Ok(Prepared { active, rows, id: request.id, wanted, raw })
}

fn tensor(input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Problem> {
    let datatype = Datatype::of(&input.datatype)?;
    let data = match (raw, input.contents) {
        (Some(raw), _) => Data::from_raw(datatype, &raw)?,
        (None, Some(contents)) => typed(datatype, contents),
        (None, None) => return Err(Problem::bad("TENSOR", format!("{}: no contents", input.name))),
    };
    Tensor::new(input.name, &input.shape, data)
}

fn typed(datatype: Datatype, contents: InferTensorContents) -> Data {
    fn numbers<T: Copy>(values: &[T], number: impl Fn(T) -> f64) -> Data {
        Data::Numbers(values.iter().map(|value| number(*value)).collect())
    }
    match datatype {
        Datatype::Bool => Data::Flags(contents.bool_contents),
        Datatype::Bytes => Data::Texts(contents.bytes_contents),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => numbers(&contents.int_contents, f64::from),
        Datatype::Int64 => numbers(&contents.int64_contents, |value| value as f64),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => numbers(&contents.uint_contents, f64::from),
        Datatype::Uint64 => numbers(&contents.uint64_contents, |value| value as f64),
        Datatype::Fp32 => numbers(&contents.fp32_contents, f64::from),
        Datatype::Fp64 => numbers(&contents.fp64_contents, |value| value),
    }
}

/// Raw data answers raw data.
fn respond(active: &Active, id: String, tensors: Vec<Tensor>, raw: bool) -> ModelInferResponse {
    let mut response = ModelInferResponse {
        model_name: active.described.name.clone(),
        model_version: active.described.version.clone(),
        id,
        ..ModelInferResponse::default()
    };
    for tensor in tensors {
        let datatype =
            OUTPUTS.iter().find(|(name, _)| *name == tensor.name).map_or("", |(_, datatype)| datatype.name());
        let mut contents = InferTensorContents::default();
        if raw {
            response.raw_output_contents.push(tensor.data.to_raw());
        } else {
            match tensor.data {
                Data::Flags(flags) => contents.bool_contents = flags,
                Data::Numbers(numbers) => contents.fp64_contents = numbers,
                Data::Texts(texts) => contents.bytes_contents = texts,
            }
        }
        let shape = tensor.shape.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
        response.outputs.push(InferOutputTensor {
            name: tensor.name,
            datatype: datatype.into(),
            shape,
            contents: (!raw).then_some(contents),
            ..InferOutputTensor::default()
        });
    }
    response
}
